"""What searches and trainings cost, counted, beside the form of the published code (seconds: `make benchmark`)."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.counting import cost
from benchmarks.workloads import classifier, cnn_search, language_model, rnn_search

#: Counted on the published code, per step at the paper's sizes: (first order, second order).
PUBLISHED_OPERATIONS = {"cnn": (36_111, 90_940), "rnn": (56_241, 133_472)}
#: What our steps take, and what they save for one backward pass.
OPERATIONS = {"cnn": (7_828, 20_315), "rnn": (20_936, 53_076)}
BYTES = {"cnn": 724e6, "rnn": 567e6}
#: Counted on the published code, saved for one backward pass at the paper's sizes.
PUBLISHED_BYTES = {"cnn": 2_017e6, "rnn": 1_411e6}
#: Operations do not depend on the batch, and bytes grow with it: a small one is enough to count both.
SMALL_BATCH = 2
SMALL_BYTES = {"cnn": 97.7e6, "rnn": 37.0e6}
SEARCHES = {"cnn": cnn_search, "rnn": rnn_search}


@pytest.fixture(scope="module", params=SEARCHES)
def search(request):
    """Name and our form of a search network of the paper's size, after one step: momentum is there."""
    ours, _ = SEARCHES[request.param](batch=SMALL_BATCH, both=False)
    ours.step("first")
    return request.param, ours


@pytest.mark.parametrize(("order", "which"), [("first", 0), ("second", 1)])
def test_a_search_step_takes_few_operations_and_saves_few_bytes(search, order, which):
    name, ours = search
    found = cost(partial(ours.step, order))
    theirs = PUBLISHED_OPERATIONS[name][which]
    print(f"{order} order: {found.operations:,} operations, {found.operations / theirs:.3f} of theirs")
    assert found.operations <= 1.05 * OPERATIONS[name][which]
    if order == "first":
        print(f"{found.saved / 1e6:,.1f} MB saved of {SMALL_BATCH} samples")
        assert found.saved <= 1.05 * SMALL_BYTES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_the_yardstick_has_the_operations_of_the_published_code(name):
    _, theirs = SEARCHES[name](batch=SMALL_BATCH)
    theirs.step("first")
    for order, published in zip(("first", "second"), PUBLISHED_OPERATIONS[name], strict=True):
        operations = cost(partial(theirs.step, order)).operations
        print(f"{order} order: {operations:,} operations")
        assert operations == pytest.approx(published, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_a_pass_of_the_paper_search_saves_few_bytes(name):
    ours, theirs = (cost(partial(form.step, "first")).saved for form in SEARCHES[name]())
    print(f"{ours / 1e6:,.1f} MB saved, {theirs / 1e6:,.1f} MB by the published form")
    assert theirs == pytest.approx(PUBLISHED_BYTES[name], rel=0.03)
    assert ours <= 1.05 * BYTES[name]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(
    "make",
    [
        partial(cnn_search, channels=4, layers=3, batch=4, side=8),
        partial(cnn_search, channels=3, layers=3, batch=4, side=8),
        partial(rnn_search, units=12, vocabulary=30, batch=5, length=7),
    ],
    ids=["cnn", "cnn with 3 channels", "rnn"],
)
def test_both_forms_take_the_same_search_steps(order, make):
    torch.set_default_dtype(torch.float64)
    ours, theirs = make()
    for _ in range(3):  # from the second on with momentum
        assert ours.loss() == pytest.approx(theirs.loss(), rel=1e-9)
        ours.step(order)
        theirs.step(order)
    for mine, alphas in zip(ours.supernet.architecture().values(), theirs.network.alphas, strict=True):
        torch.testing.assert_close(mine.detach(), alphas.detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        partial(classifier, channels=4, layers=4, batch=4),
        partial(language_model, units=12, vocabulary=30, batch=5, length=7),
    ],
    ids=["classifier", "language model"],
)
def test_both_forms_take_the_same_training_steps(make):
    torch.set_default_dtype(torch.float64)
    ours, theirs = make()
    for _ in range(4):
        assert ours.loss() == pytest.approx(theirs.loss(), rel=1e-9)
        ours.step()
        theirs.step()


def test_views_are_not_operations_and_writes_are():
    x = torch.ones(2, 3)
    assert cost(lambda: x.t().reshape(6)[1:].detach().unbind(0)).operations == 1  # reshape copies
    assert cost(lambda: x.add_(1).relu()).operations == 2


def test_pointing_a_tensor_at_another_storage_is_no_operation():
    x, y = torch.ones(2), torch.zeros(2)
    assert cost(lambda: x.set_(y)).operations == 0


def test_a_storage_saved_twice_counts_once_and_only_while_it_is_held():
    x = torch.ones(1000, requires_grad=True)

    def twice():
        (x * x).sum().backward()

    def one_after_the_other():
        twice()
        twice()

    assert cost(twice).saved == x.untyped_storage().nbytes()
    assert cost(one_after_the_other).saved == x.untyped_storage().nbytes()


def test_no_storage_is_still_held_after_the_backward_pass():
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    images = torch.ones(2, 3)
    first = cost(lambda: layers(images).sum().backward())
    assert cost(lambda: [layers(images).sum().backward() for _ in range(3)]).saved == first.saved
