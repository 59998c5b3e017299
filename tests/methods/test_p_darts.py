"""P-DARTS: which candidates each stage keeps, how deep it is, what it costs, and a resume in its middle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from counting import cost
from darts_pl.cli import config_folder
from darts_pl.config import parse_config
from darts_pl.methods import DeepeningStages, DeepeningStagesSettings, strongest_candidates
from darts_pl.ops import NodeOutput
from darts_pl.spaces import CnnSupernet, build_space
from darts_pl.spaces.sizes import multiply_adds_of
from darts_pl.tasks import TASKS
from tests.methods.conftest import killed_search, left_by, search
from tests.paper import CANDIDATES

assert TASKS  # importing the tasks declares the sections

NAMES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
ARGUMENTS = (
    "method=p_darts",
    f"search.candidates=[{','.join(NAMES)}]",
    "search.init_channels=4",
    "search.epochs=4",
    "stages.keep=[3]",
    "stages.added_layers=[1]",
    "stages.warmup_epochs=1",
    "skip.rates=[0.2,0.5]",
    "save_every=1",
)


@pytest.mark.parametrize(
    ("weights", "count", "kept"),
    [
        ([0.4, 0.1, 0.3, 0.2], 3, ["none", "max_pool_3x3", "sep_conv_3x3"]),
        ([0.4, 0.1, 0.3, 0.2], 2, ["none", "max_pool_3x3"]),
        ([0.4, 0.1, 0.3, 0.2], 1, ["max_pool_3x3"]),  # "none" is the strongest, and cannot be the only one
        ([0.1, 0.2, 0.2, 0.5], 3, ["skip_connect", "max_pool_3x3", "sep_conv_3x3"]),
        ([0.3, 0.2, 0.2, 0.3], 3, ["none", "max_pool_3x3", "sep_conv_3x3"]),  # of equal ones the first goes
        ([0.1, 0.2, 0.3, 0.4], 9, list(NAMES)),
    ],
)
def test_an_edge_keeps_its_strongest_candidates_in_their_order(
    weights: list[float], count: int, kept: list[str]
) -> None:
    assert strongest_candidates(NAMES, weights, count) == kept


def factory_of(names: Any, nodes: int, layers: int) -> Any:
    def factory(cells: Any = None, layers: int = layers) -> CnnSupernet:
        space = cells or build_space("cnn", names, nodes)
        return CnnSupernet(space, init_channels=2, layers=layers, classes=2, alpha_scale=1.0)

    return factory


def test_stages_add_cells_to_those_of_the_search_and_shrink_lists_of_different_length() -> None:
    lists = [["skip_connect", "sep_conv_3x3", "max_pool_3x3"], ["none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3"]]
    stages = DeepeningStages(DeepeningStagesSettings(keep=[3, 2], added_layers=[1, 3], warmup_epochs=0))
    factory, facts, depths, widths = factory_of(lists, 1, 4), None, [], []
    for index in range(3):
        net = stages.build(index, facts, factory)
        assert isinstance(net, CnnSupernet)
        depths.append(len(net.cells))
        widths.append([len(names) for names in net.space.cells["normal"].candidates])
        if index < 2:
            facts = json.loads(json.dumps(stages.end(index, net)))
            for name, mixing in net.mixing().items():
                for edge, names in enumerate(facts["cells"][name]["candidates"]):
                    weights = dict(
                        zip(net.space.cells[name].candidates[edge], mixing.weights[edge].tolist(), strict=False)
                    )
                    gone = set(weights) - set(names)
                    assert max([weights[one] for one in gone], default=0.0) <= min(weights[one] for one in names)
    assert depths == [4, 5, 7]
    assert widths == [[3, 4], [3, 3], [2, 2]]


def test_the_published_recipe_has_the_published_stages() -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = parse_config(compose("config", overrides=["experiment=p_darts_cifar10"]))
    stages = config.stages
    assert [config.search.layers, *(config.search.layers + one for one in stages.added_layers)] == [5, 11, 17]
    assert [len(config.search.candidates), *stages.keep] == [8, 5, 3]
    assert [stage.epochs for stage in DeepeningStages(stages).plan(config.search.epochs)] == [25, 25, 25]
    assert (stages.warmup_epochs, config.skip.warmup_epochs, config.skip.rates) == (10, 10, [0.0, 0.4, 0.7])
    assert (config.search.alphas.grad_clip, config.search.alphas.lr, config.search.batch_size) == (5.0, 6e-4, 96)


#: Convolutions of a candidate, each of which is a depthwise and a pointwise one.
CONVOLUTIONS = {"sep": 2, "dil": 1}


@pytest.mark.parametrize("count", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_a_stage_costs_in_proportion_to_its_live_candidates(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The paper's width; a batch of 4 images and 5 cells are enough for a ratio.
    torch.manual_seed(count)
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    lists = [[CANDIDATES[column] for column in sorted(torch.randperm(8)[:count].tolist())] for _ in range(28)]
    # What every stage has beside the candidates, and what the candidates of all edges cost.
    spent, copied, multiply_adds = [], [], []
    copies = noted_copies(monkeypatch)
    for names in (["none", "skip_connect"], CANDIDATES, lists):
        net = CnnSupernet(build_space("cnn", names, 4), init_channels=16, layers=5, classes=10)
        spent.append(cost(lambda net=net: net.loss((images, labels), net.mixing()).loss.backward()))
        copied.append(sum(one.nbytes for one in copies.values()))
        copies.clear()
        multiply_adds.append(multiply_adds_of(_Expected(net), [images]))
        copies.clear()
    # All candidates of a node that have equally many edges read one map, which repeats the node for each edge.
    # Lists that differ have candidates of more numbers of edges, and so more such maps, however few candidates live.
    own = [one.saved - maps for one, maps in zip(spent, copied, strict=True)]
    saved = (own[2] - own[0]) / (own[1] - own[0])
    computed = (multiply_adds[2] - multiply_adds[0]) / (multiply_adds[1] - multiply_adds[0])
    operations = spent[2].operations / spent[1].operations
    live = sum(CONVOLUTIONS.get(name[:3], 0) for names in lists for name in names) / (28 * 2 * 3)
    print(f"{count} of 8: {live:.2f} live, saved {saved:.2f}, computed {computed:.2f}, operations {operations:.2f}")
    assert live == pytest.approx(count / 8, abs=0.1)
    assert computed == pytest.approx(live, abs=0.08)
    # Poolings are computed once for all edges of a node, so those of few edges cost as much as those of all, which
    # counts because convolutions keep little.
    assert saved <= live + 0.16
    assert spent[2].saved < spent[1].saved
    # Candidates of different edges are grouped by operation: fewer of them are not fewer groups.
    assert operations <= 1.15


def noted_copies(monkeypatch: pytest.MonkeyPatch) -> dict[int, torch.Tensor]:
    """The maps that are made from now on to repeat a node for several edges, by their address."""
    found: dict[int, torch.Tensor] = {}
    repeated = NodeOutput.repeated

    def noted(node: NodeOutput, edges: int) -> torch.Tensor:
        copy = repeated(node, edges)
        if edges > 1:
            found[copy.data_ptr()] = copy.detach()
        return copy

    monkeypatch.setattr(NodeOutput, "repeated", noted)
    return found


class _Expected(torch.nn.Module):
    """A supernet with its expected mixing weights."""

    def __init__(self, supernet: CnnSupernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.supernet(images, self.supernet.mixing())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search of two stages that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert search(folder, *ARGUMENTS) == 0
    return folder


def test_a_search_of_stages_logs_them_and_its_dropout_and_starts_fresh_in_each(whole: Path) -> None:
    rows = left_by(whole)["metrics"]
    assert [float(row["search/stage"]) for row in rows] == [0, 0, 1, 1]
    assert [float(row["search/skip_dropout"]) for row in rows] == pytest.approx([0.1, 0.2, 0.25, 0.5])
    assert rows[0]["search/lr"] == rows[2]["search/lr"]
    with np.load(whole / "alphas.npz") as alphas:
        for name in ("normal", "reduce"):
            first, warm, moved, fresh = alphas[name][:4]
            assert np.array_equal(first, warm)
            assert not np.array_equal(warm, moved)
            kept = ~np.isnan(fresh)
            assert kept.sum(1).tolist() == [3] * 5
            assert all(not kept[edge, moved[edge].argmin()] for edge in range(5))
            assert np.nanmax(np.abs(fresh)) < 0.01  # new ones, and not the trained ones
    checkpoint = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)
    assert any(name.startswith("supernet.cells.3.") for name in checkpoint["state_dict"])
    assert checkpoint["stages"]["facts"]["layers"] == 4


def test_the_genotype_is_of_candidates_of_the_last_stage(whole: Path) -> None:
    facts = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["stages"]["facts"]["cells"]
    genotype = json.loads((whole / "genotype.json").read_text())
    edges = [(source, target) for target in (2, 3) for source in range(target)]
    for name in ("normal", "reduce"):
        sources = [source for _, source in genotype[name]]
        assert sources[:2] == sorted(sources[:2])
        for number, (operation, source) in enumerate(genotype[name]):
            assert operation in facts[name]["candidates"][edges.index((source, 2 + number // 2))]


@pytest.mark.parametrize(
    ("epoch", "batch"),
    [
        pytest.param(1, None, id="between"),
        pytest.param(2, 1, id="warm-up of stage 2", marks=pytest.mark.slow),
        pytest.param(3, 0, id="stage 2", marks=pytest.mark.slow),
    ],
)
def test_a_search_killed_in_a_stage_and_resumed_is_bitwise_one_never_stopped(
    epoch: int, batch: int | None, whole: Path, tmp_path: Path, assert_same_run: Callable[[Path, Path], None]
) -> None:
    killed_search(tmp_path / "run", epoch, batch, *ARGUMENTS)
    assert search(tmp_path / "run", *ARGUMENTS, "resume=true") == 0
    assert_same_run(whole, tmp_path / "run")
