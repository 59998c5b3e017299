"""Keys of earlier versions: on the command line, in YAML files, in run folders and in checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from darts_pl.cli import config_folder, main
from darts_pl.config import (
    as_it_began,
    flatten,
    known_keys,
    old_keys,
    parse_config,
    upgrade_arguments,
    upgrade_configuration,
    upgrade_keys,
    upgrade_stored,
)
from darts_pl.config.upgrade import LATER, RENAMED
from darts_pl.records.job_record import JobRecord
from darts_pl.records.run_identity import difference, settings_of
from darts_pl.tasks.declarations.sections import PARTS

#: Settings in the checkpoints of a search and a training of the version before these keys.
OLD_SEARCH: dict[str, Any] = {
    "seed": 0, "search.space": "rnn", "search.candidates": ["none", "tanh", "relu", "sigmoid", "identity"],
    "search.relaxation": "softmax", "search.nodes": 8, "search.units": 8, "search.epochs": 2,
    "search.batch_size": 64, "search.bptt": 35, "search.short_probability": 0.05, "search.dropout": 0.1,
    "search.dropouth": 0.0, "search.dropoutx": 0.1, "search.dropouti": 0.0, "search.dropoute": 0.0,
    "search.slowness": 0.001, "search.weights.lr": 20.0, "search.weights.lr_min": 20.0,
    "search.weights.momentum": 0.0, "search.weights.weight_decay": 5e-07, "search.weights.grad_clip": 0.25,
    "search.alphas.lr": 0.1, "search.alphas.betas": [0.9, 0.999], "search.alphas.weight_decay": 0.001,
    "order.name": "first", "order.radius": 0.01, "data.kind": "text", "data.name": "pydocs",
    "data.batch_size": None, "data.eval_batch_size": 10, "data.test_batch_size": 10, "data.share": 0.5,
    "debug": True, "hardware.precision": "32-true",
}  # fmt: skip
OLD_TRAINING: dict[str, Any] = {
    "seed": 0, "train.network": "language_model", "train.units": 8, "train.epochs": 8, "train.batch_size": 32,
    "train.bptt": 35, "train.short_probability": 0.05, "train.length_spread": 5.0, "train.length_least": 5,
    "train.length_over": 20, "train.dropout": 0.2, "train.dropouth": 0.0, "train.dropoutx": 0.2,
    "train.dropouti": 0.0, "train.dropoute": 0.0, "train.lr": 20.0, "train.weight_decay": 8e-07,
    "train.grad_clip": 0.25, "train.slowness": 0.001, "train.activation": 0.0, "train.nonmono": 5,
    "train.rollbacks": 10, "data.kind": "text", "data.name": "pydocs", "data.batch_size": None,
    "data.eval_batch_size": 10, "data.test_batch_size": 10, "data.share": 0.5, "debug": True,
    "hardware.precision": "32-true",
}  # fmt: skip
COMMAND = ["experiment=quickstart_rnn", "order=first", "debug=true", "search.units=8", "train.units=8"]


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return values


def test_the_settings_in_an_old_checkpoint_are_those_of_the_same_command_today() -> None:
    for old, sections in (
        (OLD_SEARCH, ("seed", "search", *PARTS, "order", "data")),
        (OLD_TRAINING, ("seed", "train", "data")),
    ):
        now = settings_of(composed(*COMMAND), *sections)
        assert upgrade_stored(old, now) == now
        assert difference(upgrade_stored(old, now), now) is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.dropout_hidden=0.5", "search.dropout_hidden=0.0, and not search.dropout_hidden=0.5"),
        ("stages.warmup_epochs=1", "stages.warmup_epochs=0, and not stages.warmup_epochs=1"),
        ("data.fraction=0.1", "data.fraction=0.5, and not data.fraction=0.1"),
    ],
)
def test_an_old_checkpoint_of_another_run_is_still_told_apart(override: str, words: str) -> None:
    now = settings_of(composed(*COMMAND, override), "seed", "search", *PARTS, "order", "data")
    assert difference(upgrade_stored(OLD_SEARCH, now), now) == words


def test_a_finished_job_of_an_old_sweep_is_the_same_job() -> None:
    now = composed("task=search", *COMMAND)
    old = composed("task=search", *COMMAND)
    for part in (*PARTS, "method"):
        del old[part]
    old["search"]["relaxation"] = "softmax"
    old["order"]["radius"] = 0.01
    old["task"]["compare_random"] = False
    old["data"]["share"] = old["data"].pop("fraction")
    old["train"]["nonmono"] = old["train"].pop("patience_epochs")
    assert JobRecord(0, [], settings=old).same_job(now)
    old["train"]["nonmono"] = 6
    assert not JobRecord(0, [], settings=old).same_job(now)


def test_a_run_that_began_with_stored_statistics_goes_on_with_them_and_is_the_same_job() -> None:
    now = composed("task=search_and_retrain", "data=digits")
    old = composed("task=search_and_retrain", "data=digits")
    del old["search"]["valid_statistics"]
    old["task"]["compare_random"] = True
    assert as_it_began(flatten(old), flatten(now)) == {"search.valid_statistics": "stored"}
    assert as_it_began(flatten(now), flatten(now)) == {}
    assert JobRecord(0, [], settings=old).same_job(now)
    assert upgrade_configuration(old)["search"]["valid_statistics"] == "stored"
    text = composed("task=search", "search=rnn", "data=pydocs")
    assert as_it_began(flatten(text), flatten(text)) == {}
    assert "valid_statistics" not in upgrade_configuration(text)["search"]


@pytest.mark.parametrize(
    "override",
    [
        "observers=[skip_count]",
        *(f"method={file.stem}" for file in sorted((config_folder() / "method").glob("*.yaml"))),
    ],
)
def test_a_configuration_of_today_is_read_back_as_it_is(override: str) -> None:
    now = composed("task=search", "search=cnn", "data=digits", override)
    assert upgrade_configuration(now) == now


def test_parts_of_the_user_get_no_settings_that_they_do_not_have() -> None:
    now = composed("search=cnn", "data=digits") | {"stages": {"name": "toy"}}
    assert upgrade_configuration(now) == now
    del now["stages"]
    assert upgrade_configuration(now)["stages"] == {"name": "single", "warmup_epochs": 0}


def test_jobs_that_differ_in_a_setting_of_an_observer_are_two_jobs() -> None:
    now, other = (composed("method=r_darts", f"observers.early_stop.factor={factor}") for factor in (1.3, 1.5))
    assert JobRecord(0, [], settings=now).same_job(now)
    assert not JobRecord(0, [], settings=other).same_job(now)


@pytest.mark.parametrize(("value", "number"), [("true", 1), ("false", 0), ("4", 4)])
def test_whether_a_random_cell_is_trained_is_now_how_many(value: str, number: int) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=["task=search_and_retrain", f"task.compare_random={value}"]))
    assert type(config.task.compare_random) is int
    assert config.task.compare_random == number


@pytest.mark.parametrize(
    ("argument", "now"),
    [
        ("search.relaxation=softmax", "relaxation=softmax"),
        ("+search.relaxation=softmax", "relaxation=softmax"),
        ("search.dropouth=0.1,0.2", "search.dropout_hidden=0.1,0.2"),
        ("++train.dropoute=0", "++train.dropout_word=0"),
        ("~train.nonmono", "~train.patience_epochs"),
        ("train.length_over=3", "train.length_margin=3"),
        ("data.share=0.5", "data.fraction=0.5"),
    ],
)
def test_an_old_key_on_the_command_line_has_its_new_name_and_a_line_says_so(argument: str, now: str) -> None:
    arguments, lines = upgrade_arguments(["-m", "seed=0", argument, "--config-dir", "here"])
    assert arguments == ["-m", "seed=0", now, "--config-dir", "here"]
    assert len(lines) == 1
    assert argument.lstrip("+~").partition("=")[0] in lines[0]
    assert now.lstrip("+~").partition("=")[0] in lines[0]


@pytest.mark.parametrize(
    "argument", ["search.dropout=0.1", "genotype=search.relaxation=x", "search.dropouthx=1", "--help"]
)
def test_other_arguments_stay_as_they_are(argument: str) -> None:
    assert upgrade_arguments([argument]) == ([argument], [])


def test_nested_settings_keep_everything_that_was_not_renamed() -> None:
    old = {
        "seed": 1,
        "search": {"relaxation": "softmax", "dropouth": 0.5, "weights": {"lr": 1, "betas": [1, {"a": 2}]}},
        "observers": {},
        "task": {"name": "search", "compare_random": False},
        "order": {"name": "second", "radius": 0.1},
    }
    assert upgrade_keys(old) == {
        "seed": 1,
        "search": {"dropout_hidden": 0.5, "weights": {"lr": 1, "betas": [1, {"a": 2}]}},
        "relaxation": {"name": "softmax"},
        "observers": {},
        "task": {"name": "search"},
        "order": {"name": "second", "radius": 0.1},
    }
    assert len(old_keys(old)) == 2


def test_what_is_renamed_or_came_later_is_a_key_of_this_version() -> None:
    known = set(known_keys())
    assert set(RENAMED.values()) | set(LATER) <= known
    assert not set(RENAMED) & known


def test_an_old_key_typed_or_in_a_file_of_the_user_works_and_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndata:\n  share: 0.25\n")
    command = ["--config-dir", str(tmp_path), "experiment=mine", "search=rnn", "data=pydocs", "search.dropouth=1"]
    assert main([*command, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "search.dropouth is now called search.dropout_hidden",
        "data.share is now called data.fraction",
        "error: search.dropout_hidden=1.0: must be at least 0, below 1",
    ]
