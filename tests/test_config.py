"""The typed configuration, against what the paper prints and what a user mistypes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from darts_pl.cli import config_folder
from darts_pl.config import Config, known_keys, nearest_key, parse_config
from darts_pl.errors import UserError
from darts_pl.strategies import STRATEGIES
from darts_pl.tasks import TASKS

EXPERIMENTS = sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def configured(*overrides: str) -> Config:
    return parse_config(composed(*overrides))


def test_the_defaults_are_those_of_the_paper_and_the_authors_code() -> None:
    config = configured()
    search, train = config.search, config.train
    assert (search.layers, search.init_channels, search.epochs, search.batch_size) == (8, 16, 50, 64)
    assert (search.weights.lr, search.weights.lr_min, search.weights.momentum) == (0.025, 0.001, 0.9)
    assert (search.weights.weight_decay, search.weights.grad_clip) == (3e-4, 5.0)
    assert (search.alphas.lr, search.alphas.betas, search.alphas.weight_decay) == (3e-4, [0.5, 0.999], 1e-3)
    assert (train.layers, train.init_channels, train.epochs, train.batch_size) == (20, 36, 600, 96)
    assert (train.cutout, train.drop_path, train.auxiliary_weight, train.lr_min) == (16, 0.2, 0.4, 0.0)
    assert (config.order.name, config.order.radius, config.data.name) == ("second", 0.01, "cifar10")
    assert len(search.candidates) == 8
    assert search.candidates[0] == "none"


def test_the_recurrent_defaults_are_those_of_the_paper_and_the_authors_code() -> None:
    config = configured("search=rnn")
    search, train = config.search, config.train
    assert search.candidates == ["none", "tanh", "relu", "sigmoid", "identity"]
    assert (search.nodes, search.units, search.batch_size, search.bptt, search.epochs) == (8, 300, 256, 35, 50)
    weights, alphas = search.weights, search.alphas
    assert (weights.lr, weights.lr_min, weights.momentum) == (20.0, 20.0, 0.0)
    assert (weights.weight_decay, weights.grad_clip, search.slowness) == (5e-7, 0.25, 1e-3)
    assert (alphas.lr, alphas.betas, alphas.weight_decay) == (3e-3, [0.9, 0.999], 1e-3)
    names = ("dropout", "dropout_hidden", "dropout_input", "dropout_embedding", "dropout_word")
    assert [getattr(search, name) for name in names] == [0.75, 0.25, 0.75, 0.2, 0.0]
    assert (train.units, train.batch_size, train.bptt, train.epochs, train.lr) == (850, 64, 35, 8000, 20.0)
    assert (train.length_least, train.length_margin, train.length_spread, train.patience_epochs) == (5, 20, 5.0, 5)
    assert (train.weight_decay, train.grad_clip, train.slowness, train.activation) == (8e-7, 0.25, 1e-3, 0.0)
    assert [getattr(train, name) for name in names] == [0.75, 0.25, 0.75, 0.2, 0.1]
    assert (config.data.eval_batch_size, config.data.test_batch_size) == (10, 1)
    wikitext = configured("search=rnn", "data=wikitext2").train
    assert (wikitext.units, wikitext.dropout_hidden, wikitext.weight_decay) == (700, 0.15, 5e-7)
    assert (wikitext.dropout, wikitext.lr, wikitext.network) == (0.75, 20.0, "language_model")
    assert configured("search=rnn", "search.weights.lr=3").search.weights.lr_min == 3


@pytest.mark.parametrize(
    ("overrides", "network"),
    [
        (("task=retrain", "data=ptb"), "language_model"),
        (("task=retrain", "data=pydocs"), "language_model"),
        (("search=rnn",), "language_model"),
        (("experiment=quickstart_rnn",), "language_model"),
        (("task=retrain", "data=digits"), "classifier"),
    ],
)
def test_data_bring_the_recipe_of_their_network(overrides: tuple[str, ...], network: str) -> None:
    assert configured(*overrides).train.network == network


@pytest.mark.parametrize(
    ("overrides", "data"),
    [
        (("search=rnn",), "ptb"),
        (("search=rnn", "data=pydocs"), "pydocs"),
        (("experiment=quickstart_rnn",), "pydocs"),
        (("experiment=quickstart_rnn", "data=text"), "text"),
        (("search=cnn",), "cifar10"),
        (("search=cnn", "data=digits"), "digits"),
        (("data=digits", "search=cnn"), "digits"),
        (("experiment=quickstart",), "digits"),
        (("experiment=quickstart", "data=cifar100"), "cifar100"),
    ],
)
def test_a_search_space_brings_its_data_unless_data_is_given(overrides: tuple[str, ...], data: str) -> None:
    assert configured(*overrides).data.name == data


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_to_a_valid_configuration(experiment: str) -> None:
    assert configured(f"experiment={experiment}", "data.path=FILE").task.name in TASKS


def test_the_batch_size_of_the_data_overrides_the_other_two() -> None:
    config = configured("data.batch_size=7", "search.batch_size=8", "train.batch_size=9")
    assert (config.search_batch_size, config.train_batch_size) == (7, 7)
    config = configured("search.batch_size=8", "train.batch_size=9")
    assert (config.search_batch_size, config.train_batch_size) == (8, 9)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+search.layer=3", ["search.layer", "search.layers"]),
        ("+lr=0.1", ["unknown key lr"]),
        ("search.layers=0", ["search.layers=0", "at least 1"]),
        ("search.layers=2", ["search.layers=2", "at least 3"]),
        ("search.layers=two", ["search.layers=two", "integer"]),
        ("search.candidates=5", ["search.candidates=5", "list"]),
        ("search.init_channels=1", ["search.init_channels=1", "at least 2", "halved"]),
        ("search.train_portion=1.0", ["search.train_portion=1.0"]),
        ("search.alphas.betas=[0.5]", ["search.alphas.betas=[0.5]"]),
        ("search.weights.momentum=1", ["search.weights.momentum=1"]),
        ("search.weights.lr_min=1", ["search.weights.lr_min=1"]),
        ("train.drop_path=1", ["train.drop_path=1"]),
        ("order.radius=0", ["order.radius=0"]),
        ("seed=-1", ["seed=-1"]),
        ("hardware.precision=16-mixed", ["16-mixed", "underflow"]),
        ("hardware.precision=bf16-mixed", ["bf16-mixed", "order=second", "order=first"]),
        ("data=npz", ["data.path is missing"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_the_remedy(override: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        configured(override)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    assert all(word in message for word in words), message


def test_first_order_may_run_in_bfloat16() -> None:
    assert configured("order=first", "hardware.precision=bf16-mixed").hardware.precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("overrides", "wandb", "tensorboard"),
    [
        ((), False, False),
        (("logger=csv",), False, False),
        (("logger=wandb",), True, False),
        (("logger=tensorboard",), False, True),
        (("logger=[csv,wandb]",), True, False),
        (("logger=[tensorboard,wandb,csv]", "logger.wandb.project=mine"), True, True),
    ],
)
def test_the_loggers_are_any_set_in_any_order(overrides: tuple[str, ...], wandb: bool, tensorboard: bool) -> None:
    logger = configured(*overrides).logger
    assert (logger.wandb is not None, logger.tensorboard is not None) == (wandb, tensorboard)


def test_the_nearest_key_also_finds_a_name_in_the_wrong_place() -> None:
    assert nearest_key("search.epoch") == "search.epochs"
    assert nearest_key("init_channels") in ("search.init_channels", "train.init_channels")
    assert nearest_key("zzz") is None


#: Together these compose every variant of a section.
VARIED = (
    ["task=search_and_retrain", "data=imagenet"],
    ["task=search_and_retrain", "search=rnn"],
    ["task=lookup", "search=nasbench201"],
    ["task=correlate"],
    ["task=protocol"],
    ["task=random"],
    ["task=evaluate"],
    ["task=latency"],
    ["task=export"],
    ["evaluator=shared_weights"],
    ["evaluator=zero_cost"],
    ["method=pc_darts"],
    ["method=gdas"],
    ["method=fair_darts"],
    ["method=darts_minus"],
    ["method=p_darts"],
    ["method=sdarts_rs", "order=neumann"],
    ["method=sdarts_adv", "order=unrolled"],
    ["edges=drop_path", "observers=[curvature,early_stop,adaptive_decay,freeze,gradient_alignment,skip_count]"],
    ["method=dr_nas", "regulariser=kl"],
    *([f"strategy={name}"] for name in STRATEGIES),
    ["select=perturbation"],
    ["select=shared_weights"],
    ["select=magnitude_within"],
    ["select=skip_limit"],
)


def test_every_known_key_has_a_default_in_the_yaml_files() -> None:
    missing = set(known_keys())
    for overrides in VARIED:
        config = composed("logger=[wandb,mlflow,comet]", *overrides)
        missing -= {key for key in missing if has(config, key)}
    assert missing == set()


def has(config: DictConfig, key: str) -> bool:
    node: object = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or part not in node:
            return False
        node = None if OmegaConf.is_missing(node, part) else node[part]
    return True


def test_every_number_of_the_paper_names_its_source_on_its_line() -> None:
    for name in (
        "search/cnn.yaml",
        "search/nasbench201.yaml",
        "train/nasbench201.yaml",
        "train/darts.yaml",
        "train/darts_imagenet.yaml",
    ):
        lines = (Path(config_folder()) / name).read_text().splitlines()
        numbers = [line for line in lines if re.search(r":\s*[\[\d]", line.split("#")[0])]
        assert numbers
        assert all("#" in line for line in numbers), name
