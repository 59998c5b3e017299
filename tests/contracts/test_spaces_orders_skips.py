"""Every search space by every order by every treatment of skip connections, for one batch, or the reason against it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.spaces import SKIPS, SPACES, Parts, Supernet
from tests.contracts.test_spaces_orders_relaxations import FACTS, combinations, composed, gradient

#: Spaces whose edges are no feature maps; their edges pass inputs on by a gate.
REFUSE = {("rnn", "auxiliary"), ("rnn", "dropout")}
CHANGED = [(space, skip) for space in SPACES for skip in SKIPS if skip != "plain" and (space, skip) not in REFUSE]
#: Without a treatment the combination is one of test_spaces_orders_relaxations.
TREATMENTS = [skip for skip in SKIPS if skip != "plain"]


def settings_of(skip: str) -> Any:
    values: dict[str, Any] = {"plain": {}, "auxiliary": {"schedule": "linear"}}.get(
        skip, {"rates": [0.5], "warmup_epochs": 0, "decay": 0.2}
    )
    return SKIPS.settings(skip)(**values)


def built(space: str, skip: str) -> Supernet:
    torch.manual_seed(5)
    settings = settings_of(skip)
    parts = Parts(skip=SKIPS.get(skip)() if skip == "plain" else SKIPS.get(skip)(settings))
    supernet = SPACES.get(space).supernet(composed(space, "softmax").search, FACTS, parts).double().train()
    for value in supernet.architecture().values():
        torch.nn.init.normal_(value)
    supernet.enter_stage(0)
    supernet.start_epoch(1, 5)
    return supernet


@pytest.mark.parametrize(("space", "order", "skip"), combinations(TREATMENTS))
def test_one_batch_gives_the_same_gradient_twice_and_leaves_no_trace_or_is_refused_in_one_line(
    space: str, order: str, skip: str
) -> None:
    if (space, skip) in REFUSE:
        with pytest.raises(UserError, match=r"add skip=plain$") as caught:
            built(space, skip)
        assert len(str(caught.value).splitlines()) == 1
        return
    supernet = built(space, skip)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    state = torch.get_rng_state()
    first, second = gradient(space, order, supernet), gradient(space, order, supernet)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    for name, value in first.gradient.items():
        assert value.isfinite().all()
        assert torch.equal(value, second.gradient[name])
    assert any(bool(value.any()) for value in first.gradient.values())


@pytest.mark.parametrize(("space", "skip"), CHANGED)
def test_once_the_search_is_over_a_pass_is_that_of_a_plain_search(space: str, skip: str) -> None:
    one, plain = built(space, skip), built(space, "plain")
    state = one.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    batch = torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.randint(3, (6,))
    during = one.loss(batch, one.mixing()).loss
    one.end_search()
    after, expected = one.loss(batch, one.mixing()).loss, plain.loss(batch, plain.mixing()).loss
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(during, expected)
