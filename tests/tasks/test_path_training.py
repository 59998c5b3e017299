"""Shared weights that a command trains by single paths, and ENAS, which alternates with them."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from darts_pl.cli import main
from darts_pl.data import load
from darts_pl.modules import PathModule
from darts_pl.strategies.race import HISTORY
from darts_pl.tasks.evaluation.path_training import PathTraining, StrategyTurns
from tests.tasks.conftest import csv_rows, finished

SMALL = (
    *("data=npz", "search.nodes=1", "search.candidates=[none,skip_connect,sep_conv_3x3]", "search.layers=3"),
    *("search.init_channels=2", "search.batch_size=50", "search.epochs=2", "hardware=cpu", "hardware.threads=1"),
)
SHARED = ("task=strategy", "evaluator=shared_weights", *SMALL)
ENAS = ("strategy=enas", "strategy.hidden=8", "strategy.steps=2", "strategy.batch=3", "strategy.choices=4")


def images(path: Path, *, with_test: bool = True) -> str:
    """200 digits to train on; the test split is theirs, or useless."""
    found = load("digits")
    test = {"x_test": found.x_test, "y_test": found.y_test}
    if not with_test:
        test = {name: np.zeros_like(one[:5]) for name, one in test.items()}
    np.savez(path, x_train=found.x_train[:200], y_train=found.y_train[:200], **test)
    return f"data.path={path}"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images") / "digits.npz")


@pytest.fixture(scope="module")
def searched(tmp_path_factory, digits):
    return finished(tmp_path_factory.mktemp("enas") / "run", *SHARED, *ENAS, digits)


def answers(folder: Path) -> list:
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [(row["integers"], row["scores"]) for row in rows]


def weights(folder: Path) -> dict:
    return torch.load(folder / "shared_weights" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_the_test_split_is_read_neither_for_shared_weights_nor_for_scores(searched, tmp_path):
    folder = finished(tmp_path / "run", *SHARED, *ENAS, images(tmp_path / "other.npz", with_test=False))
    assert answers(folder) == answers(searched)
    ours, theirs = weights(folder), weights(searched)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_enas_chooses_the_best_of_its_samples_after_the_shared_weights_are_trained(searched):
    summary = json.loads((searched / "summary.json").read_text())
    scores = [score for _, (score,) in answers(searched)]
    assert len(scores) == 4  # strategy.choices, as the command gives no budget
    assert summary["strategy/score"] == max(scores)
    assert summary["steps"] == 2 * 2  # two epochs of half of 200 images in batches of 50
    assert summary["images"] == 2 * (100 + 2 * 3 * 50)  # and two turns of 2 x 3 rewards on batches of 50
    assert len(csv_rows(searched / "shared_weights" / "metrics.csv")) == 2
    state = json.loads((searched / "strategy.json").read_text())["own"]
    assert (state["turns"], state["batch"]) == (2, [])  # the answers of the final choice teach nothing


def test_the_seconds_of_the_training_are_part_of_the_budget(searched, tmp_path, digits):
    trained = json.loads((searched / "summary.json").read_text())["shared_weights/seconds"]
    times = [float(row["seconds"]) for row in csv_rows(searched / "metrics.csv")]
    assert trained > 0
    assert times == sorted(times)
    assert times[0] > trained  # one clock, which starts with the training
    folder = shutil.copytree(searched, tmp_path / "run")
    for name in (HISTORY, "strategy.json", "metrics.csv", "summary.json", "genotype.json"):
        (folder / name).unlink()
    used_up = ("budget.evaluations=4", f"budget.seconds={trained / 2}")
    again = finished(folder, *SHARED, *ENAS, digits, *used_up, "resume=true")
    assert answers(again) == answers(searched)[:1]  # the training is not in vain


@pytest.fixture
def trainings(monkeypatch) -> list:
    """Per training of shared weights: the module, its weights before the first step, and the paths of its steps."""
    found, train_paths = [], PathModule.train_paths

    def recorded(self, draw, epochs):
        before = {name: value.clone() for name, value in self.supernet.state_dict().items()}
        paths: list = []
        found.append((self, before, paths))

        def noted(seed):
            genotype = draw(seed)
            if self.training:
                paths.append(genotype)
            return genotype

        train_paths(self, noted, epochs)

    monkeypatch.setattr(PathModule, "train_paths", recorded)
    return found


def weights_by_edge(weights) -> dict:
    """The weights of a supernet of 3 cells with 2 nodes by (layer, node, source, operation, name); of weights that
    belong to no edge by their names. Edges that leave one source share a tensor, one block of channels per node."""
    found = {}
    for name, weight in weights.items():
        edge = re.fullmatch(r"cells\.(\d)\.mixed\.(\d)\.operations\.(\w+)\.(.*)", name)
        if edge is None:
            found[name] = weight
            continue
        layer, source = int(edge[1]), int(edge[2])
        nodes = [node for node in range(2) if source < node + 2]
        for node, block in zip(nodes, weight.chunk(len(nodes)), strict=True):
            found[layer, node, source, edge[3], edge[4]] = block
    return found


def is_on_path(key, genotype) -> bool:
    """Whether the path of a genotype uses a weight of `weights_by_edge`: those of no edge always."""
    if isinstance(key, str):
        return True
    layer, node, source, operation, _ = key
    cell = genotype.cells[("normal", "reduce", "reduce")[layer]]  # reductions at a third and two thirds of the depth
    return (operation, source) in [(pair.operation, pair.source) for pair in cell.nodes[node]]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_step_trains_the_weights_of_the_drawn_path_and_no_others(seed, tmp_path, digits, trainings):
    """Without momentum and decay, a weight moves exactly where its operation was drawn."""
    still = ("search.epochs=1", "search.weights.momentum=0", "search.weights.weight_decay=0", "search.batch_size=100")
    command = (*SHARED, *still, "search.nodes=2", f"seed={seed}", "strategy=random", digits)
    finished(tmp_path, *command, "budget.evaluations=1")
    ((module, before, (path,)),) = trainings
    after = module.supernet.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after if "alphas" in name)
    names = module.supernet.weights().keys()
    first, last = (weights_by_edge({name: state[name].cpu() for name in names}) for state in (before, after))
    moved = {key for key in first if not torch.equal(first[key], last[key])}
    assert moved == {key for key in first if is_on_path(key, path)}
    convolutions = [key for key in first if "sep_conv_3x3" in key]
    assert 0 < len(moved.intersection(convolutions)) < len(convolutions)


def test_the_weights_that_were_trained_are_those_of_uniform_paths_for_a_strategy_that_shares_none(
    tmp_path, digits, trainings
):
    for name in ("random", "evolution_small"):
        finished(tmp_path / name, *SHARED, f"strategy={name}", digits, "budget.evaluations=2")
    first, second = (weights(tmp_path / name) for name in ("random", "evolution_small"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    (module, before, paths), (_, _, others) = trainings
    assert paths == others
    assert len(paths) == 2 * 2  # two epochs of two steps
    assert len(set(map(str, paths))) > 1
    assert all(
        not torch.equal(weight.cpu(), before[name])
        for name, weight in module.supernet.weights().items()
        if name.startswith(("stem", "classifier"))
    )


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the second epoch", "in the final choice"])
def test_a_stopped_run_continues_with_the_same_weights_controller_and_choice(
    searched, tmp_path, digits, monkeypatch, moment
):
    command, steps = (*SHARED, *ENAS, digits, f"hydra.run.dir={tmp_path}"), []
    step = PathModule.training_step

    def signalled(self, batch, index):
        steps.append(index)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        if moment == "in the second epoch":
            patch.setattr(PathModule, "training_step", signalled)
            assert main(command) == 143
        else:
            assert main([*command, "budget.evaluations=2"]) == 0
    assert main([*command, "resume=true"]) == 0
    assert answers(tmp_path) == answers(searched)
    first, second = weights(tmp_path), weights(searched)
    assert all(torch.equal(first[name], second[name]) for name in first)
    states = [json.loads((folder / "strategy.json").read_text())["own"] for folder in (tmp_path, searched)]
    assert states[0] == states[1]


def test_a_finished_training_is_not_repeated_for_a_larger_budget(searched, tmp_path, digits, monkeypatch):
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    monkeypatch.setattr(StrategyTurns, "on_train_epoch_end", lambda *arguments: pytest.fail("trained again"))
    assert main([*SHARED, *ENAS, digits, f"resume={folder}", "budget.evaluations=6"]) == 0
    assert answers(folder)[:4] == answers(searched)
    assert len(answers(folder)) == 6


def test_another_search_may_use_the_weights_that_were_trained(searched, tmp_path, digits):
    command = ("task=evaluate", "evaluator=shared_weights", f"evaluator.run={searched}", *SMALL, digits)
    (row, *_) = csv_rows(searched / "ranking.csv")
    folder = finished(tmp_path, *command, f'genotype="{row["genotype"]}"')
    assert json.loads((folder / "summary.json").read_text())["evaluate/score"] == float(row["score"])


@pytest.mark.slow
def test_the_reward_of_text_is_80_by_the_perplexity_of_a_batch(tmp_path):
    draw = np.random.default_rng(0)
    text = tmp_path / "words.txt"
    text.write_text("\n".join(" ".join(f"w{word}" for word in draw.integers(0, 20, 7)) for _ in range(180)) + "\n")
    small = (
        *("search=rnn", "data=text", "search.nodes=2", "search.units=6", "search.batch_size=8", "search.bptt=10"),
        *("search.epochs=1", "data.eval_batch_size=4", "hardware=cpu", "hardware.threads=1"),
    )
    command = ("task=strategy", "strategy=enas_rnn", *ENAS[1:], "evaluator=shared_weights", *small)
    folder = finished(tmp_path / "run", *command, f"data.path={text}")
    summary = json.loads((folder / "summary.json").read_text())
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    assert [row["scores"] for row in rows] == [[-row["facts"]["valid_perplexity"]] for row in rows]
    # A reward is 80 / perplexity of one batch; none is far from that of a vocabulary of 20 words.
    assert 80 / 60 < summary["shared_weights/reward"] < 80 / 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("strategy=nsga2",), "strategy.objectives=2: the evaluator gives 1 and task.costs adds 0"),
        (("strategy=successive_halving",), "strategy=successive_halving says for how many epochs to train"),
        (("hardware.devices=2",), "hardware.devices=2: evaluator=shared_weights uses one"),
        (("evaluator.epochs=0",), "evaluator.epochs=0: must be at least 1"),
        (("evaluator.fraction=0",), "evaluator.fraction=0"),
        (("search.batch_size=101",), "search.batch_size=101"),
        (
            ("stages=deepening", "stages.keep=[2]", "stages.added_layers=[1]", "stages.warmup_epochs=0"),
            "trains one supernet; use single",
        ),
    ],
)
def test_what_makes_no_training_is_refused_before_it_begins(arguments, message, refused, digits, monkeypatch):
    monkeypatch.setattr(PathTraining, "run", lambda *_: pytest.fail("the shared weights are trained"))
    assert message in refused(*SHARED, "strategy=random", "budget.evaluations=2", digits, *arguments)
