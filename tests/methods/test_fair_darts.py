"""FairDARTS: mixing weights that do not compete, the zero-one loss, and cells with missing nodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from counting import cost
from darts_pl.cli import main
from darts_pl.genotype import NONE, CellGenotype, Genotype, Pair, parse
from darts_pl.methods import ZeroOne, ZeroOneSettings
from darts_pl.selection import Threshold, ThresholdSettings, Trials, magnitude, without_missing_nodes
from darts_pl.spaces import (
    CnnSupernet,
    PartialChannels,
    PartialChannelsSettings,
    Parts,
    Sigmoid,
    Softmax,
    build_space,
    space_of,
)
from tests.bare import Bare
from tests.methods.conftest import search
from tests.methods.test_contracts import metrics, overrides
from tests.paper import CANDIDATES

NAMES = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")


def bare(rows, space="cnn", names=NAMES, relaxation=None):
    """A supernet whose cells have mixing weights `rows`, by cell type or the same for all."""
    net = Bare(build_space(space, names, 2), relaxation or Sigmoid()).double()
    with torch.no_grad():
        for name, alphas in net.alphas.items():
            alphas.copy_(torch.logit(torch.tensor(rows[name] if isinstance(rows, dict) else rows, dtype=torch.float64)))
    return net


def trials_of(net, lines=None):
    return Trials(net, list, lambda outcome, batch: (0, None), tell=None if lines is None else lines.append)


def derived(net, threshold=0.85, form="sparse", lines=None):
    return Threshold(ThresholdSettings(threshold=threshold, form=form))(net, trials_of(net, lines))


def test_a_mixing_weight_depends_on_its_own_alpha_alone():
    alphas = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(lambda values: Sigmoid().expected(values, None), alphas)
    found = Sigmoid().expected(alphas, None)
    expected = torch.diag((found * (1 - found)).flatten()).reshape(3, 4, 3, 4)
    torch.testing.assert_close(jacobian, expected)


def test_a_removed_candidate_has_weight_0_and_the_others_keep_theirs():
    alphas = torch.randn(2, 3)
    live = torch.tensor([[True, False, True], [True, True, True]])
    torch.testing.assert_close(Sigmoid().expected(alphas, live), torch.sigmoid(alphas) * live)


def test_the_logged_entropy_is_0_for_a_choice_and_log_2_per_candidate_for_weights_of_one_half():
    half = torch.full((5, 4), 0.5, dtype=torch.float64)
    torch.testing.assert_close(Sigmoid().entropy(half), 4 * half.new_tensor(2).log())
    assert Sigmoid().entropy(torch.tensor([[1.0, 0.0, 1.0]])) == 0
    row = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    torch.testing.assert_close(Softmax().entropy(row)[None], torch.distributions.Categorical(row).entropy())


@pytest.mark.parametrize(("form", "power"), [("squared", 2), ("absolute", 1)])
def test_the_zero_one_loss_is_the_mean_over_the_living_candidates_of_all_cells(form, power):
    net = bare({"normal": [[0.9, 0.5, 0.2]] * 5, "reduce": [[0.5, 0.5, 0.1]] * 5})
    net.keep("reduce", [[True, False, True]] * 5)
    expected = -3 * 5 * (0.4**power + 0.3**power + 0.4**power) / 25
    found = ZeroOne(ZeroOneSettings(scale=3.0, form=form))(net)
    assert found.item() == pytest.approx(expected)


def test_the_zero_one_loss_alone_drives_every_weight_to_the_nearer_end():
    net = bare([[0.6, 0.4, 0.55], [0.1, 0.9, 0.45], [0.7, 0.2, 0.52], [0.6, 0.4, 0.55], [0.3, 0.8, 0.47]])
    start = {name: mixing.weights.detach() for name, mixing in net.mixing().items()}
    optimizer = torch.optim.Adam(net.arch.parameters(), 0.1)
    for _ in range(200):
        optimizer.zero_grad()
        ZeroOne(ZeroOneSettings(scale=10.0, form="squared"))(net).backward()
        optimizer.step()
    for name, mixing in net.mixing().items():
        assert torch.equal(mixing.weights.detach().round(), start[name].round())
        assert (mixing.weights.detach() - mixing.weights.detach().round()).abs().max() < 0.05


def test_the_zero_one_loss_needs_weights_that_do_not_compete():
    term = ZeroOne(ZeroOneSettings(scale=1.0, form="squared"))
    assert list(term.requires(Parts(relaxation=Sigmoid()))) == []
    assert "add relaxation=sigmoid" in next(iter(term.requires(Parts())))


def test_nodes_without_inputs_go_with_all_that_reads_only_them_and_the_others_move_up():
    a, b, c = "max_pool_3x3", "skip_connect", "sep_conv_3x3"
    nodes = [
        [Pair(a, 0), Pair(a, 0)],
        [],
        [Pair(b, 3)],  # reads the missing node 3 alone
        [Pair(c, 4), Pair(c, 2), Pair(a, 1)],
        [Pair(b, 5)],
    ]
    expected = ((Pair(a, 0), Pair(a, 0)), (Pair(c, 2), Pair(a, 1)), (Pair(b, 3),))
    assert without_missing_nodes(nodes, 2) == expected
    assert without_missing_nodes([[], []], 2) == ()


def test_a_node_keeps_of_its_two_strongest_edges_what_reaches_the_threshold():
    rows = [[0.9, 0.1, 0.86], [0.2, 0.84, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.95], [0.99, 0.98, 0.97]]
    skip, conv, pool = "skip_connect", "sep_conv_3x3", "max_pool_3x3"
    nodes = ((Pair(pool, 0),), (Pair(pool, 2), Pair(conv, 1)))
    assert derived(bare(rows)).cells["normal"] == CellGenotype(nodes, (2, 3))
    both = ((Pair(conv, 0), Pair(pool, 0)), (Pair(skip, 0), Pair(conv, 1), Pair(skip, 2), Pair(pool, 2)))
    assert derived(bare(rows), form="edge").cells["normal"] == CellGenotype(both, (2, 3))


def test_the_first_node_may_be_missing_and_the_second_one_takes_its_place_and_its_number():
    rows = [[0.1, 0.1, 0.1]] * 2 + [[0.1, 0.1, 0.9], [0.1, 0.1, 0.1], [0.99, 0.1, 0.1]]
    genotype = derived(bare(rows))
    assert genotype.cells["normal"] == CellGenotype(((Pair("sep_conv_3x3", 0),),), (2,))
    network = space_of("cnn").network(genotype, init_channels=4, layers=3, classes=3)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)
    assert parse(genotype.to_json()) == genotype == parse(str(genotype))


def test_a_cell_that_nothing_reaches_is_derived_by_magnitude_and_a_line_says_so():
    rows = {"normal": [[0.6, 0.5, 0.7]] * 5, "reduce": [[0.9, 0.1, 0.1]] * 5}
    net, lines = bare(rows), []
    found = derived(net, lines=lines)
    assert found.cells["normal"] == magnitude(net).cells["normal"]
    assert found.cells["reduce"].nodes[0] == (Pair("max_pool_3x3", 0), Pair("max_pool_3x3", 1))
    assert lines == [
        "select.threshold=0.85: no mixing weight of the normal cell reaches it (the largest is 0.700); "
        "this cell is derived by magnitude"
    ]


def test_edge_weights_rank_the_edges_and_do_not_count_against_the_threshold():
    space = build_space("cnn", NAMES, 1)
    edges = PartialChannels(PartialChannelsSettings(k=2, edge_weights=True))
    net = CnnSupernet(space, init_channels=4, layers=3, classes=2, parts=Parts(Sigmoid(), edges)).double()
    with torch.no_grad():
        for name in net.alphas:
            net.alphas[name].copy_(torch.logit(torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.88, 0.1]])))
            net.arch.betas[name].copy_(torch.tensor([-1.0, 1.0]))
    expected = (Pair("skip_connect", 1), Pair("max_pool_3x3", 0))
    assert derived(net).cells["normal"].nodes == (expected,)


def test_an_edge_of_nasbench201_has_its_strongest_operation_or_none():
    names = ("none", "skip_connect", "nor_conv_3x3")
    net = bare([[0.99, 0.2, 0.86], [0.1, 0.5, 0.4], [0.1, 0.9, 0.87]], "nasbench201", names)
    nodes = ((Pair("nor_conv_3x3", 0),), (Pair(NONE, 0), Pair("skip_connect", 1)))
    assert derived(net) == Genotype("nasbench201", {"cell": CellGenotype(nodes, (2,))})


def test_a_step_costs_as_many_operations_as_the_plain_one():
    # The paper's size; a batch of 4 images is enough for a ratio.
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    term = ZeroOne(ZeroOneSettings(scale=10.0, form="squared"))

    def spent(parts, regulariser=None):
        net = CnnSupernet(build_space("cnn", CANDIDATES, 4), init_channels=16, layers=8, classes=10, parts=parts)

        def step():
            loss = net.loss((images, labels), net.mixing()).loss
            (loss if regulariser is None else loss + regulariser(net)).backward()

        return cost(step)

    plain, fair = spent(Parts()), spent(Parts(relaxation=Sigmoid()), term)
    print(f"operations {fair.operations / plain.operations:.3f}, saved {fair.saved / plain.saved:.4f}")
    assert fair.operations <= 1.1 * plain.operations
    assert fair.saved <= 1.01 * plain.saved


def test_a_search_records_what_reached_the_threshold(tmp_path: Path) -> None:
    assert search(tmp_path, *overrides("fair_darts")) == 0
    kept = json.loads((tmp_path / "selection.json").read_text())["threshold"]
    for name in ("normal", "reduce"):
        with np.load(tmp_path / "alphas.npz") as alphas:
            weights = 1 / (1 + np.exp(-alphas[name][-1]))
        assert kept[name]["largest"] == pytest.approx(weights.max(), rel=1e-6)
        found = [sum(weights[edge, 1:].max() >= 0.5 for edge in edges) for edges in ((0, 1), (2, 3, 4))]
        assert [len(node) for node in kept[name]["kept"]] == [min(count, 2) for count in found]
    entropy = metrics(tmp_path)["search/entropy_normal"]
    assert max(entropy) < 4 * np.log(2)


def test_the_zero_one_loss_moves_the_alphas_of_a_search(tmp_path: Path) -> None:
    assert search(tmp_path / "with", *overrides("fair_darts"), "search.epochs=1") == 0
    assert search(tmp_path / "without", *overrides("fair_darts"), "search.epochs=1", "regulariser=none") == 0
    with np.load(tmp_path / "with/alphas.npz") as one, np.load(tmp_path / "without/alphas.npz") as other:
        # "none" is not computed: only the zero-one loss and the weight decay move its alphas.
        gone = [np.abs(found["normal"][-1][:, 0]).max() for found in (one, other)]
    assert gone[0] > 0.1 > gone[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("order=second",), ("select=perturbation", "select.tune_epochs=0"), ("edges=partial_channels",)]
)
def test_its_parts_combine(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert search(tmp_path, "method=fair_darts", "search.init_channels=4", "search.epochs=1", *arguments) == 0


@pytest.mark.slow
def test_it_searches_nasbench201_and_leaves_weak_edges_empty(tmp_path: Path) -> None:
    arguments = ("search=nasbench201", "search.init_channels=4", "search.cells=1", "search.epochs=1")
    more = ("data=digits", "search.batch_size=240", "method=fair_darts", "select.threshold=0.5")
    assert main([*more, *arguments, f"hydra.run.dir={tmp_path}"]) == 0
    with np.load(tmp_path / "alphas.npz") as alphas:
        strong = alphas["cell"][-1][:, 1:].max(1) >= 0  # "none" is the first candidate
    pairs = parse((tmp_path / "genotype.json").read_text()).cells["cell"].pairs
    assert [pair.operation != NONE for pair in pairs] == strong.tolist()
