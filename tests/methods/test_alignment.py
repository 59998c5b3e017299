"""What shows that a search collapses: gradients that disagree, counted skip connections, and frozen operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Operations
from darts_pl.bilevel import AlphaGradient, Draws, SearchStep
from darts_pl.methods import Freeze, FreezeSettings, GradientAlignment, SkipCount, layer_gradients, watched_operations
from darts_pl.methods.alignment import cosine
from darts_pl.ops import candidate
from darts_pl.spaces import CnnSupernet, NasBench201Supernet, Outcome, RnnSupernet, Supernet, build_space
from tests.methods.test_contracts import BATCH, search_step
from tests.on_paper import step_of
from tests.registrations import forgotten_after
from tests.smooth import CLASSES, FEATURES, SmoothNet

NAMES = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def convolutional(layers: int = 4, names: tuple[str, ...] = NAMES) -> CnnSupernet:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    space = build_space("cnn", names, 2)
    return CnnSupernet(space, init_channels=4, layers=layers, classes=3, alpha_scale=1.0).train()


def images() -> tuple[Tensor, Tensor]:
    return BATCH[0].double(), BATCH[1]


def test_the_gradients_of_the_layers_add_up_to_that_of_the_alphas_and_leave_no_trace() -> None:
    net = convolutional(layers=6)
    state = {name: values.clone() for name, values in net.state_dict().items()}
    found = layer_gradients(net, images(), Draws(0, 1))
    assert {name: len(layers) for name, layers in found.items()} == {"normal": 4, "reduce": 2}
    assert all(torch.equal(values, state[name]) for name, values in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    alphas = list(net.alphas.values())
    expected = torch.autograd.grad(net.loss(images(), net.mixing()).loss, alphas)
    for layers, total in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(torch.stack(layers).sum(0), total, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_a_layer_is_the_difference_that_its_own_alphas_make() -> None:
    net = convolutional()
    found = layer_gradients(net, images(), Draws(0, 1))["normal"]
    cells = [cell for cell in net.cells if cell.cell_type == "normal"]
    edge, column, radius = 3, 2, 1e-5
    for layer, cell in enumerate(cells):
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                net.alphas["normal"][edge, column] += sign * radius
                moved = net._by_source("normal", net.mixing()["normal"])
                net.alphas["normal"][edge, column] -= sign * radius

                def replaced(module: Any, inputs: Any, moved: Any = moved) -> Any:
                    return (*inputs[:2], moved)

                with cell.register_forward_pre_hook(replaced):
                    losses.append(net.loss(images(), net.mixing()).loss)
        difference = (losses[0] - losses[1]) / (2 * radius)
        assert found[layer][edge, column].item() == pytest.approx(difference.item(), rel=1e-4, abs=1e-9)


def test_layers_of_nas_bench_201_have_gradients_and_a_recurrent_cell_has_no_layers() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    space = build_space("nasbench201", ("none", "skip_connect", "nor_conv_1x1"), 3)
    net = NasBench201Supernet(space, channels=2, cells=1, classes=3, alpha_scale=1.0).train()
    (layers,) = layer_gradients(net, images(), Draws(0, 1)).values()
    (alphas,) = net.alphas.values()
    (expected,) = torch.autograd.grad(net.loss(images(), net.mixing()).loss, [alphas])
    assert len(layers) == 3
    torch.testing.assert_close(torch.stack(layers).sum(0), expected, rtol=1e-9, atol=1e-12)
    recurrent = RnnSupernet(build_space("rnn", ("none", "tanh"), 2), vocabulary=7, units=5)
    assert layer_gradients(recurrent, None, Draws(0, 1)) == {}


def test_the_cosine_of_two_lists_is_that_of_their_concatenation() -> None:
    one, other = ([torch.randn(3, 2), torch.randn(4)] for _ in range(2))
    expected = torch.cosine_similarity(
        *(torch.cat([part.flatten() for part in parts]) for parts in (one, other)), dim=0
    )
    torch.testing.assert_close(cosine(one, other), expected.double(), rtol=1e-6, atol=0)
    assert cosine(one, [torch.zeros(3, 2), torch.zeros(4)]) == 0


class Train(GradientAlignment):
    """Keeps the train gradients."""

    def on_weight_gradient(self, step: int, gradients: dict[str, Tensor | None]) -> None:
        self.train = [values.flatten() for values in gradients.values() if values is not None]
        super().on_weight_gradient(step, gradients)


def test_the_alignment_of_the_splits_is_the_mean_cosine_of_their_weight_gradients() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(2)
    net, observer, expected = SmoothNet(0.0), Train(), []
    step = step_of(net, observers=[observer])
    x, y = torch.randn(2, 6, FEATURES), torch.randint(CLASSES, (2, 6))
    for number in range(3):
        own = list(net.weights().values())
        valid = torch.autograd.grad(net.loss((x[1], y[1]), net.mixing()).loss, own)
        step((x[0], y[0]), (x[1], y[1]), number)
        both = torch.cat([part.flatten() for part in valid]), torch.cat(observer.train)
        expected.append(torch.cosine_similarity(*both, dim=0))
    step((x[0], y[0]), None, 3, move_alphas=False)  # no valid gradient, so it does not count
    step.valid_batch = lambda: (x[1], y[1])
    observer.on_epoch_end(0, step)
    assert observer.metrics() == {"splits": pytest.approx(torch.stack(expected).mean().item(), rel=1e-9)}


def test_skip_connections_are_counted_in_the_strongest_genotype_and_their_mixing_weights_averaged() -> None:
    net, observer = convolutional(names=("none", "skip_connect", "sep_conv_3x3")), SkipCount()
    with torch.no_grad():
        for alphas in net.alphas.values():
            alphas.zero_()
        net.alphas["normal"][:, 1] = 1.0
        net.alphas["reduce"][:2, 1] = 1.0
        net.alphas["reduce"][2:, 2] = 1.0
    observer.on_epoch_end(0, search_step(net, "first"))
    strong, weak = torch.softmax(torch.tensor([0.0, 1.0, 0.0]), 0)[1].item(), 1 / (2 + torch.e)
    assert observer.metrics() == {
        "count_normal": 4.0,
        "count_reduce": 2.0,
        "mixing_normal": pytest.approx(strong, rel=1e-9),
        "mixing_reduce": pytest.approx((2 * strong + 3 * weak) / 5, rel=1e-9),
    }


def freezing(**changes: Any) -> Freeze:
    return Freeze(FreezeSettings(**{"window": 2, "threshold": 0.9, "added": False} | changes))


def steps_with(net: CnnSupernet, observer: Freeze, order: str = "first") -> SearchStep:
    step = search_step(net, order)
    step.observers = (observer,)
    return step


def batches(number: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(number)

    def one() -> tuple[Tensor, Tensor]:
        x = torch.randn(6, 3, 8, 8, generator=generator, dtype=torch.float64)
        return x, torch.randint(3, (6,), generator=generator)

    return one(), one()


@pytest.mark.parametrize("order", ["first", "second"])
def test_frozen_operations_truly_stay_on_their_edges_while_all_others_move(order: str) -> None:
    net, observer = convolutional(), freezing(threshold=0.0)
    step = steps_with(net, observer, order)
    for number in range(4):  # from the second step on there is a similarity: after the fourth a window is full
        step(*batches(number), number)
    masks = {name: mask.clone() for name, mask in observer.frozen_entries().items()}
    assert masks
    before = {name: weight.detach().clone() for name, weight in net.weights().items()}
    buffers = {name: step.weights.state[weight]["momentum_buffer"].clone() for name, weight in net.weights().items()}
    observer.threshold = -1.0  # freezes nothing more
    for number in range(4, 9):
        step(*batches(number), number)
    partly = 0
    for name, weight in net.weights().items():
        stays = masks.get(name, torch.zeros(())).bool().expand_as(weight)
        assert torch.equal(weight[stays], before[name][stays]), name
        assert torch.equal(step.weights.state[weight]["momentum_buffer"][stays], buffers[name][stays]), name
        assert (weight[~stays] != before[name][~stays]).any() or stays.all(), name
        partly += bool(stays.any() and not stays.all())
    assert partly  # some edges of a tensor for all edges, and not the others


def test_the_virtual_step_leaves_frozen_operations_in_place() -> None:
    net, observer = convolutional(), freezing()
    step = steps_with(net, observer, "second")
    for number in range(4):
        step(*batches(number), number)
    inner, own = step.inner_step(), net.weights()
    assert inner.frozen is not None
    moved, _ = inner.moved([weight.detach() for weight in own.values()], [torch.ones_like(w) for w in own.values()])
    for (name, weight), after in zip(own.items(), moved, strict=True):
        stays = observer.frozen_entries().get(name, torch.zeros(())).bool().expand_as(weight)
        assert torch.equal(after[stays], weight[stays])
        assert (after[~stays] != weight[~stays]).all()


def test_what_was_frozen_in_a_stage_is_not_in_the_next_one_also_where_the_search_stopped_between_them() -> None:
    net, observer = convolutional(), freezing()
    step = steps_with(net, observer)
    for number in range(4):
        step(*batches(number), number)
    state = observer.state_dict()
    assert state["stopped"].any()
    for stage, kept in ((0, True), (1, False)):
        later, resumed = convolutional(), freezing()
        later.enter_stage(stage)  # a network with the same operations
        resumed.load_state_dict(state)
        resumed.on_step_start(4, steps_with(later, resumed))
        assert bool(resumed.state_dict()["stopped"].any()) == bool(resumed.frozen_entries()) == kept
        assert bool(resumed.state_dict()["before"]) == kept


def test_every_operation_with_weights_is_watched_but_reductions_of_skip_connections() -> None:
    net = convolutional(layers=3, names=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"))
    watched = watched_operations(net)
    assert sum(one.edges for one in watched) == 3 * 5 * 2  # cells, edges, operations
    kinds = {name.split(".operations.")[1].split(".")[0] for one in watched for name in one.names}
    assert kinds == {"sep_conv_3x3", "dil_conv_5x5"}
    assert {len(one.names) for one in watched} == {4, 2}  # convolutions; no BatchNorm of a search has weights


def test_an_operation_of_the_user_is_frozen_edge_by_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    with forgotten_after(monkeypatch, (), lambda name: False):

        @candidate("own_conv_of_a_test")
        def own(channels: int, stride: int, affine: bool) -> nn.Module:
            return nn.Conv2d(channels, channels, 3, stride, 1)

        net, observer = convolutional(layers=3, names=("skip_connect", "own_conv_of_a_test")), freezing()
        watched = watched_operations(net)
        assert {one.edges for one in watched} == {1}
        step = steps_with(net, observer)
        for number in range(4):
            step(*batches(number), number)
        assert any(name.endswith(".bias") for name in observer.frozen_entries())


def test_a_step_in_which_an_operation_is_not_computed_does_not_count_for_it() -> None:
    net, observer = convolutional(), freezing(window=1, threshold=1.0)
    one = watched_operations(net)[0]
    step = steps_with(net, observer)
    observer.on_step_start(0, step)
    weights = {name: torch.randn_like(weight) for name, weight in net.weights().items()}
    for name in one.names:
        weights[name].unflatten(0, (one.edges, -1))[0] = 0.0  # nothing of the first edge is drawn
    observer.on_clipped_gradient(0, weights)
    for number in (1, 2):
        alphas = {name: torch.zeros_like(values) for name, values in net.architecture().items()}
        outcome = Outcome(torch.zeros(()), torch.zeros(()))
        observer.on_alpha_gradient(number, AlphaGradient(alphas, outcome, weights=weights))
    # The other operations have similarities of 1: two of them, divided by 1, are above the threshold.
    assert not observer.frozen_entries()
    observer.threshold = 2.5
    for number in (3, 4):
        observer.on_alpha_gradient(number, AlphaGradient(alphas, outcome, weights=weights))
    rows = next(iter(observer.frozen_entries().values())).flatten()
    assert not rows[: len(rows) // one.edges].any()
    assert rows[len(rows) // one.edges :].all()


def test_watching_and_freezing_cost_no_pass() -> None:
    passes: list[int] = []
    loss: Any = CnnSupernet.loss

    def counting(self: Supernet, batch: Any, mixing: Any) -> Outcome:
        passes.append(1)
        passed: Outcome = loss(self, batch, mixing)
        return passed

    counts = []
    for observers in ((), (freezing(window=1, threshold=-1.0),)):
        net = convolutional(layers=8)
        step = search_step(net, "first")
        step.observers = observers
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CnnSupernet, "loss", counting)
            for number in range(4):
                step(*batches(number), number)
        operations = Operations()
        with operations:
            step(*batches(4), 4)
        counts.append(operations.count)
    assert len(passes) == 2 * 4 * 2  # for the alphas and for the weights, with and without
    assert counts[0] < counts[1] <= 1.4 * counts[0]
