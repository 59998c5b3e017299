"""Wider supernets that start from narrower ones: which channels they copy, and what goes on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.methods import WideningStages, WideningStagesSettings
from darts_pl.ops import NONE
from darts_pl.spaces import CnnSupernet, PartialChannels, PartialChannelsSettings, Parts, build_space

NAMES = (NONE, "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
CHANNELS = 12


def supernet(k: int) -> CnnSupernet:
    parts = Parts(edges=PartialChannels(PartialChannelsSettings(k=k, edge_weights=False)))
    return CnnSupernet(
        build_space("cnn", NAMES, 2), init_channels=CHANNELS, layers=3, classes=3, parts=parts, alpha_scale=1.0
    )


def factory(edges: dict[str, int]) -> CnnSupernet:
    return supernet(edges["k"])


def optimizers(net: CnnSupernet) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    return (
        torch.optim.SGD(net.weights().values(), 0.1, momentum=0.9),
        torch.optim.Adam(net.architecture().values(), 0.1),
    )


@pytest.fixture
def carried() -> tuple[CnnSupernet, CnnSupernet, tuple[torch.optim.Optimizer, ...], tuple[torch.optim.Optimizer, ...]]:
    """A narrow supernet after one step, the wider one behind it, and the optimizers of both."""
    stages = WideningStages(WideningStagesSettings(keep=[2], k=[2], warmup_epochs=0))
    old = supernet(6)
    before = optimizers(old)
    old.loss((torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])), old.mixing()).loss.backward()
    for optimizer in before:
        optimizer.step()
    facts = stages.end(0, old)
    of_edges: Any = factory
    new = stages.build(1, facts, of_edges)
    after = optimizers(new)
    stages.carry(1, old, new, before, after)
    assert isinstance(new, CnnSupernet)
    return old, new, before, after


def test_every_channel_of_a_wider_convolution_is_one_of_the_same_edge_of_the_narrow_one(carried) -> None:
    old, new, _, _ = carried
    narrow = old.weights()
    checked = 0
    for name, weight in new.weights().items():
        before = narrow[name]
        if weight.shape == before.shape:
            assert torch.equal(weight, before), name
            continue
        checked += 1
        edges = {0: 2, 1: 2, 2: 1}[int(name.split("mixed.")[1][0])]
        for wide, thin in zip(weight.chunk(edges), before.chunk(edges), strict=True):
            rows, columns = thin.shape[:2]
            assert torch.equal(wide[:rows, :columns], thin), name
            for column in range(columns, wide.shape[1]):
                assert any(torch.equal(wide[:, column], wide[:, other]) for other in range(columns)), name
            for row in range(rows, wide.shape[0]):
                assert any(torch.equal(wide[row], wide[other]) for other in range(rows)), name
    assert checked > 0


def test_a_depthwise_convolution_and_the_one_behind_it_copy_the_same_channels(carried) -> None:
    old, new, _, _ = carried
    operations = [net.cells[0].mixed[2].operations["sep_conv_3x3"].op for net in (old, new)]
    rows = operations[0][1].weight.shape[0]
    depthwise, pointwise = operations[1][1].weight, operations[1][2].weight
    for channel in range(rows, len(depthwise)):
        sources = [other for other in range(rows) if torch.equal(depthwise[channel], depthwise[other])]
        assert [other for other in range(rows) if torch.equal(pointwise[:, channel], pointwise[:, other])] == sources


def test_momentum_is_copied_as_the_weights_and_the_state_of_the_alphas_goes_on(carried) -> None:
    old, new, before, after = carried
    narrow = old.weights()
    for name, weight in new.weights().items():
        state = before[0].state.get(narrow[name], {}).get("momentum_buffer")
        found = after[0].state.get(weight, {}).get("momentum_buffer")
        assert (state is None) == (found is None)
        if state is not None:
            assert found.shape == weight.shape
            if weight.shape == state.shape:
                assert torch.equal(found, state), name
    for name, parameter in new.architecture().items():
        for key, value in before[1].state[old.architecture()[name]].items():
            assert torch.equal(after[1].state[parameter][key], value), key


def test_removed_alphas_are_0_and_the_strongest_remain(carried) -> None:
    old, new, _, _ = carried
    for name, alphas in new.alphas.items():
        live = torch.tensor(new.arch.live(name))
        assert live.sum(1).tolist() == [2] * len(alphas)
        assert not alphas[~live].any()
        assert torch.equal(alphas[live], old.alphas[name][live])
        assert (
            old.alphas[name].where(live, torch.inf).amin(1) >= old.alphas[name].where(~live, -torch.inf).amax(1)
        ).all()
        mixing = new.mixing()[name]
        assert not mixing.weights[~live].any()
        torch.testing.assert_close(mixing.weights.sum(1), torch.ones(len(alphas)))


def test_stages_that_do_not_divide_the_epochs_are_refused() -> None:
    stages = WideningStages(WideningStagesSettings(keep=[4, 2], k=[4, 2], warmup_epochs=1))
    assert [(stage.epochs, stage.warmup_epochs, stage.fresh_lr) for stage in stages.plan(6)] == [(2, 1, False)] * 3
    with pytest.raises(UserError, match=r"search\.epochs=50: must be a multiple of 3"):
        stages.plan(50)
