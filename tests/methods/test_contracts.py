"""Every method of `conf/method`, tiny and in process: what each of them must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from counting import Cost, cost
from darts_pl.bilevel import ORDERS, AlphaRecipe, Draws, SearchStep, WeightRecipe
from darts_pl.cli import config_folder
from darts_pl.config import Config, parse_config
from darts_pl.genotype import parse
from darts_pl.problems.search import SupernetFactory
from darts_pl.selection import magnitude
from darts_pl.spaces import CnnSupernet, space_of
from darts_pl.tasks import TASKS
from tests.methods.conftest import killed_search, search

assert TASKS  # importing the tasks declares the sections of a configuration

METHODS = sorted(path.stem for path in config_folder().glob("method/*.yaml"))
#: What a method needs to be tiny.
TINY = {
    "fair_darts": ("select.threshold=0.5",),
    "p_darts": ("stages.keep=[3]", "stages.added_layers=[1]", "stages.warmup_epochs=0", "skip.rates=[0.3,0.4]"),
    "r_darts": ("observers.early_stop.every=1",),
    "oles": ("observers.freeze.window=1", "observers.freeze.threshold=0.8"),
    "sdarts_adv": ("perturbation.steps=2",),
    "dr_nas": ("edges.k=4", "stages.k=[2]", "stages.keep=[2]", "stages.warmup_epochs=0"),
}
#: Methods whose cells may lack edges and nodes.
LEAVES_NODES_OUT = ("fair_darts",)
#: Methods that compute fewer channels or operations than the plain search.
SAVES = ("pc_darts", "gdas", "gdas_frc", "dr_nas")
COMMON = (
    "search.candidates=[none,skip_connect,max_pool_3x3,sep_conv_3x3]",
    "search.init_channels=4",
    "search.epochs=2",
    "order=first",
)


def overrides(method: str) -> tuple[str, ...]:
    return (f"method={method}", *TINY.get(method, ()), *COMMON)


class Facts:
    """Stands for a problem: what the data determine."""

    def __init__(self) -> None:
        self.facts: Mapping[str, int] = {"classes": 3, "channels": 3}


def config_of(method: str, *more: str) -> Config:
    """The typed configuration of a tiny search."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return parse_config(
            compose("config", overrides=[*overrides(method), "search.layers=3", "search.nodes=2", *more])
        )


def supernet_of(method: str, *more: str) -> CnnSupernet:
    """The supernet of a method's first stage, with alphas far from equal."""
    supernet = SupernetFactory(config_of(method, *more), Facts())()
    for parameter in supernet.architecture().values():
        torch.nn.init.normal_(parameter)
    return supernet.train()


BATCH = (torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 0, 1, 2]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By method the folder of a search that was never stopped."""
    done: dict[str, Path] = {}

    def folder(method: str) -> Path:
        if method not in done:
            done[method] = tmp_path_factory.mktemp(method) / "run"
            assert search(done[method], *overrides(method)) == 0
        return done[method]

    return folder


@pytest.mark.parametrize(
    "method",
    [name if name == "pc_darts" else pytest.param(name, marks=pytest.mark.slow) for name in METHODS],
)
@pytest.mark.parametrize("batch", [None, pytest.param(1, marks=pytest.mark.slow)])
def test_a_search_that_is_killed_and_resumed_is_bitwise_one_never_stopped(
    method: str,
    batch: int | None,
    whole: Callable[[str], Path],
    tmp_path: Path,
    assert_same_run: Callable[[Path, Path], None],
) -> None:
    more = () if batch is None else ("save_every=1",)
    killed_search(tmp_path / "run", 0 if batch is None else 1, batch, *overrides(method), *more)
    assert search(tmp_path / "run", *overrides(method), *more, "resume=true") == 0
    assert_same_run(whole(method), tmp_path / "run")


@pytest.mark.parametrize("method", METHODS)
def test_the_genotype_builds_a_network_of_its_operations(method: str, whole: Callable[[str], Path]) -> None:
    genotype = parse((whole(method) / "genotype.json").read_text())
    network = space_of(genotype.kind).network(genotype, init_channels=4, layers=3, classes=3)
    assert network(BATCH[0]).shape == (6, 3)
    assert all(pair.operation != "none" for cell in genotype.cells.values() for pair in cell.pairs)
    sizes = [len(node) for cell in genotype.cells.values() for node in cell.nodes]
    if method in LEAVES_NODES_OUT:
        assert len(sizes) <= 4
        assert {1, 2}.issuperset(sizes)
    else:
        assert sizes == [2] * 2 * len(genotype.cells)


@pytest.mark.parametrize("method", METHODS)
def test_the_last_preview_is_the_genotype_that_is_selected(method: str, whole: Callable[[str], Path]) -> None:
    folder = whole(method)
    last = (folder / "genotypes.jsonl").read_text().splitlines()[-1]
    assert parse(last) == parse((folder / "genotype.json").read_text())


@pytest.mark.parametrize("method", METHODS)
def test_expected_mixing_weights_draw_nothing_and_are_distributions_where_candidates_compete(method: str) -> None:
    supernet = supernet_of(method)
    before = torch.get_rng_state()
    one, other = supernet.mixing(), supernet.mixing()
    assert torch.equal(torch.get_rng_state(), before)
    for name, mixing in one.items():
        assert torch.equal(mixing.weights, other[name].weights)
        assert mixing.weights.min() >= 0
        assert mixing.weights.max() <= 1
        sums = mixing.weights.sum(1)
        assert torch.allclose(sums, torch.ones(len(sums))) == supernet.arch.relaxation.competing


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ["first", "second"])
def test_the_passes_of_an_alpha_step_leave_no_trace(method: str, order: str) -> None:
    supernet = supernet_of(method)
    step = search_step(supernet, order)
    state = {name: values.clone() for name, values in supernet.state_dict().items()}
    random = torch.get_rng_state()
    result = step.order(supernet, BATCH, BATCH, step.inner_step(), draws=Draws(0, 5))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(values, state[name]) for name, values in supernet.state_dict().items())
    assert all(parameter.grad is None for parameter in supernet.parameters())
    assert any(gradient.any() for gradient in result.gradient.values())


def search_step(supernet: CnnSupernet, order: str) -> SearchStep:
    """A `SearchStep` with SGD and Adam."""
    weights = WeightRecipe(lr=0.1, lr_min=0.0, momentum=0.9, weight_decay=3e-4, grad_clip=5.0, epochs=1)
    return SearchStep(
        supernet,
        order=ORDERS.get(order)(),
        weights=weights.optimizer(supernet),
        alphas=AlphaRecipe(0.1, (0.5, 0.999), 1e-3).optimizer(supernet),
        grad_clip=5.0,
        radius=0.01,
    )


SAMPLERS = [method for method in METHODS if method in ("gdas", "gdas_frc", "dr_nas")]


@pytest.mark.parametrize("method", SAMPLERS)
def test_a_sampler_draws_in_every_step_for_either_split_and_the_same_when_a_step_is_repeated(method: str) -> None:
    supernet = supernet_of(method)
    drawn = {
        (number, split): torch.cat(
            [
                mixing.weights.detach().flatten()
                for mixing in supernet.mixing(Draws(0, number)(split, "cpu"), sample=True).values()
            ]
        )
        for number in range(6)
        for split in ("train", "valid")
    }
    different = list(drawn.values())
    assert not any(torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
    again = supernet.mixing(Draws(0, 3)("valid", "cpu"), sample=True)
    assert torch.equal(torch.cat([mixing.weights.detach().flatten() for mixing in again.values()]), drawn[3, "valid"])


# Two draws of the one cell of gdas_frc are too often the same: it has 4 ** 5 paths.
@pytest.mark.parametrize("method", ["gdas", pytest.param("dr_nas", marks=pytest.mark.slow)])
def test_a_search_mixes_by_other_draws_in_each_of_its_steps(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    loss = CnnSupernet.loss

    def recording(self: CnnSupernet, batch: Any, mixing: Any) -> Any:
        if torch.is_grad_enabled():  # not in a validation
            seen.append(torch.cat([values.weights.detach() for values in mixing.values()]).numpy().tobytes())
        return loss(self, batch, mixing)

    monkeypatch.setattr(CnnSupernet, "loss", recording)
    assert search(tmp_path, *overrides(method)) == 0
    # Two epochs of four steps, in each a pass for the alphas and one for the weights.
    assert len(seen) == 16
    assert len(set(seen)) == 16


def metrics(folder: Path) -> dict[str, list[float]]:
    lines = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return {name: [float(line[index]) for line in lines[1:]] for index, name in enumerate(lines[0])}


def test_gdas_logs_a_temperature_that_ends_at_its_least_value(whole: Callable[[str], Path]) -> None:
    assert metrics(whole("gdas"))["search/temperature"] == pytest.approx([10.0, 0.1], rel=1e-6)


def test_pc_darts_logs_and_keeps_betas_that_move(whole: Callable[[str], Path]) -> None:
    found = metrics(whole("pc_darts"))
    assert all(
        0.5 <= value <= 1 for name in ("normal", "reduce") for value in found[f"search/largest_edge_weight_{name}"]
    )
    with np.load(whole("pc_darts") / "alphas.npz") as alphas:
        for name in ("normal", "reduce"):
            assert alphas[f"betas.{name}"].shape == (3, 5)
            assert not np.array_equal(alphas[f"betas.{name}"][0], alphas[f"betas.{name}"][-1])


@pytest.mark.parametrize("method", ["sdarts_rs", "sdarts_adv"])
def test_smooth_darts_logs_a_radius_that_ends_at_its_largest_value(method: str, whole: Callable[[str], Path]) -> None:
    assert metrics(whole(method))["search/epsilon"] == pytest.approx([0.03, 0.3], rel=1e-6)


def test_r_darts_logs_the_curvature_of_every_epoch(whole: Callable[[str], Path]) -> None:
    checkpoint = torch.load(whole("r_darts") / "checkpoints" / "last.ckpt", weights_only=True)
    (observers,) = [one["observers"] for one in checkpoint["callbacks"].values() if "roll_backs" in one]
    assert metrics(whole("r_darts"))["early_stop/eigenvalue"] == pytest.approx(observers["early_stop"]["values"])
    assert all(value > 0 for value in observers["early_stop"]["values"])  # at least the weight decay of the alphas


def test_oles_freezes_operations_and_logs_their_fraction(whole: Callable[[str], Path]) -> None:
    checkpoint = torch.load(whole("oles") / "checkpoints" / "last.ckpt", weights_only=True)
    (observers,) = [one["observers"] for one in checkpoint["callbacks"].values() if "roll_backs" in one]
    found = metrics(whole("oles"))["freeze/frozen_fraction"]
    assert found[-1] == pytest.approx(observers["freeze"]["stopped"].double().mean().item())
    assert 0 < found[-1] <= 1
    assert len(observers["freeze"]["stopped"]) == 3 * 5  # cells, edges; one operation has weights


def test_betas_decide_about_the_genotype() -> None:
    supernet = supernet_of("pc_darts", "search.nodes=2")
    with torch.no_grad():
        for alphas in supernet.alphas.values():
            alphas.copy_(alphas[:1].expand_as(alphas))  # all edges alike
        for betas in supernet.arch.betas.values():
            betas.zero_()
            betas[[3, 4]] = 5.0  # of the second node's edges, the last two
    sources = [[pair.source for pair in cell.nodes[1]] for cell in magnitude(supernet).cells.values()]
    assert sources == [[1, 2], [1, 2]]
    with torch.no_grad():
        for betas in supernet.arch.betas.values():
            betas[4] = -5.0
    sources = [[pair.source for pair in cell.nodes[1]] for cell in magnitude(supernet).cells.values()]
    assert sources == [[1, 0], [1, 0]]


def test_dr_nas_goes_on_in_its_second_stage_with_fewer_candidates_and_more_channels(
    whole: Callable[[str], Path],
) -> None:
    checkpoint = torch.load(whole("dr_nas") / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["stages"]["index"] == 1
    live = checkpoint["stages"]["facts"]["live"]
    assert all(sum(edge) == 2 for edges in live.values() for edge in edges)
    weight = checkpoint["state_dict"]["supernet.cells.0.mixed.0.operations.sep_conv_3x3.op.1.weight"]
    assert len(weight) == 2 * (4 // 2)  # two edges leave the first input; k is 2 now
    found = metrics(whole("dr_nas"))
    assert found["search/stage"] == [0.0, 1.0]
    assert found["search/lr"][1] == pytest.approx(0.001 + 0.024 / 2)  # one cosine over both stages, at its middle


@pytest.mark.parametrize("method", SAVES)  # those that promise it
def test_a_method_saves_less_for_its_backward_pass_than_darts(method: str) -> None:
    def spent(name: str) -> Cost:
        supernet = supernet_of(name, "search.init_channels=16")
        mixing = supernet.mixing(Draws(0, 1)("train", "cpu"), sample=True)
        return cost(lambda: supernet.loss(BATCH, mixing).loss.backward())

    assert spent(method).saved < 0.75 * spent("darts").saved
