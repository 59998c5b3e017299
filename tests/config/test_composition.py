"""What the tests compose in one process is what Hydra composes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from darts_pl.cli import config_folder
from tests.composition import plain_composition, quick_composition


def found(overrides: Sequence[str], folder: Path | None = None) -> tuple[Any, Any]:
    """The configuration, with that of Hydra, and the mode."""
    with initialize_config_dir(str(folder or config_folder()), version_base="1.3"):
        composed = compose("config", overrides=list(overrides), return_hydra_config=True)
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        return OmegaConf.to_container(composed), hydra.get_mode("config", list(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=quickstart", "+search.extra={a: [1, 'b c']}", "~select"],
        ["experiment=quickstart_rnn", "search.epochs=3", "hydra.run.dir=/tmp/x", "hydra.mode=MULTIRUN"],
        ["method=p_darts", "search.layers=5", "hydra/launcher=joblib", "search.candidates=[none,skip_connect]"],
    ],
)
def test_it_is_the_configuration_that_hydra_composes_the_first_time_and_again(overrides: list[str]) -> None:
    with plain_composition():
        expected = found(overrides)
    with quick_composition():
        assert found(overrides) == found(overrides) == expected


def test_interpolated_choices_and_a_mode_of_an_experiment_are_found(tmp_path: Path) -> None:
    for name, text in {
        "config": "defaults: [size: small, by_size: '${size}', optional experiment: null, _self_]",
        "size/small": "layers: 3",
        "size/large": "layers: 8",
        "by_size/small": "epochs: 1",
        "by_size/large": "epochs: 2",
        "experiment/many": "# @package _global_\nhydra: {mode: MULTIRUN}",
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for overrides, values, mode in (
        ([], (3, 1), None),
        (["size=large"], (8, 2), None),
        (["experiment=many"], (3, 1), RunMode.MULTIRUN),
        (["size=large"], (8, 2), None),
    ):
        config, of_run = found(overrides, tmp_path)
        assert (config["size"]["layers"], config["by_size"]["epochs"]) == values
        assert of_run == mode


def test_a_function_that_draws_is_called_each_time() -> None:
    drawn = set()
    for seed in range(4):
        random.seed(seed)
        config, _ = found(["search.candidates=shuffle([a,b,c,d,e,f])"])
        drawn.add(tuple(config["search"]["candidates"]))
    assert len(drawn) > 1


@pytest.mark.parametrize("text", ["a: [1, 2", "a: 1\na: 2\n", "a: 1\n b: 2\n", "a: @b\n", "\ta: 1\n", "a: *b\n"])
def test_a_file_that_cannot_be_read_has_the_message_of_omegaconf(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    messages = []
    for way in (plain_composition, quick_composition):
        with way(), pytest.raises(yaml.YAMLError) as caught:
            OmegaConf.load(file)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_values_are_those_that_omegaconf_reads(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(
        "numbers: [1e-3, 1_000, .5, 1:30, 0x1f, 1e5, -.inf, .nan, 0o17, 017]\n"
        "words: [yes, No, ~, null, 2020-01-01, 'ä \\n', \"ä \\n\", a#b]  # c\n"
        "text: |\n  two\n  lines\nfolded: >-\n  one\n  line\n? odd\n: {1: a, 2.5: b, true: c}\nempty:\n"
    )
    with plain_composition():
        expected = OmegaConf.to_container(OmegaConf.load(file))
    with quick_composition():
        assert repr(OmegaConf.to_container(OmegaConf.load(file))) == repr(expected)
    assert expected["words"][4] == "2020-01-01"
