"""What a step draws: a function of the seed, the step and the split, and of nothing else."""

import itertools

import pytest
import torch

from darts_pl.bilevel import ORDERS, Draws, InnerStep, SearchStep
from tests.gumbel import Gumbel
from tests.smooth import SmoothNet

SPLITS = ("train", "valid", "perturb", "eval", "build")
CPU = torch.device("cpu")
#: Of run 5, step 7, recorded: a run must draw the same on every machine and in every later version.
SEEDS = {
    "train": 8919046959149922038,
    "valid": 698222467929904749,
    "perturb": 834103360064388672,
    "eval": 2145607836565260477,
    "build": 5986888191296575616,
}


def numbers(draws, split):
    return torch.rand(4, generator=draws(split, CPU))


def test_the_same_seed_step_and_split_give_the_same_numbers_whatever_was_drawn_before():
    draws = Draws(5, 7)
    first = {split: numbers(draws, split) for split in SPLITS}
    torch.manual_seed(99)
    torch.rand(10)
    for split in reversed(SPLITS):
        assert torch.equal(numbers(draws, split), first[split])
        assert torch.equal(numbers(Draws(5, 7), split), first[split])


def test_a_step_draws_what_was_recorded():
    assert {split: Draws(5, 7).seed(split) for split in SPLITS} == SEEDS
    assert all(Draws(5, 7)(split, CPU).initial_seed() == seed for split, seed in SEEDS.items())


def test_other_seeds_steps_and_splits_give_other_numbers():
    keys = [*itertools.product(range(3), range(20)), *itertools.product(range(3), range(4), range(5))]
    seeds = [Draws(*key).seed(split) for key in keys for split in SPLITS]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_within_seeding_the_global_generator_draws_what_the_step_prescribes_and_afterwards_goes_on_as_before():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    draws = Draws(5, 7)
    with draws.seeding("valid", CPU):
        within = torch.rand(4)
        with draws.seeding("train", CPU):
            inner = torch.rand(4)
    assert torch.equal(within, numbers(draws, "valid"))
    assert torch.equal(inner, numbers(draws, "train"))
    with pytest.raises(RuntimeError, match="size"), draws.seeding("eval", CPU):
        torch.rand(2) + torch.rand(3)
    assert torch.equal(torch.rand(3), expected)


@pytest.fixture
def sampling():
    """The smooth network with Gumbel noise in its mixing and dropout, and all masks that it draws."""
    torch.manual_seed(11)
    net, masks = SmoothNet(0.5, Gumbel()).double(), []
    net.dropout.register_forward_hook(lambda module, inputs, output: masks.append((output == 0).detach()))
    return net, masks


def step_of(net, order, seed=3):
    return SearchStep(
        net,
        order=ORDERS.get(order)(),
        weights=torch.optim.SGD(net.weights().values(), 0.1),
        alphas=torch.optim.Adam(net.architecture().values(), 0.1),
        radius=0.01,
        seed=seed,
    )


#: The passes of a step in their order.
PASSES = {
    "first": ("valid", "train"),
    "second": ("train", "valid", "train", "train", "train"),
    "second_exact": ("train", "valid", "train"),
    "neumann": ("valid", "train", "train"),
    "unrolled": ("train", "valid", "train"),  # one step
}


@pytest.mark.parametrize("order", ORDERS.list())
def test_the_virtual_step_both_sides_and_the_weight_step_draw_the_same_and_the_valid_pass_other_noise(
    order, sampling, smooth_batch
):
    net, masks = sampling
    state = torch.get_rng_state()
    step_of(net, order)(smooth_batch(1), smooth_batch(2), 7)
    assert torch.equal(torch.get_rng_state(), state)
    drawn = net.arch.relaxation.drawn
    for seen in (drawn, masks):  # two of each in every pass
        by_pass = [torch.stack([part.double() for part in seen[i : i + 2]]) for i in range(0, len(seen), 2)]
        assert len(by_pass) == len(PASSES[order])
        for (one, first), (other, second) in itertools.combinations(zip(PASSES[order], by_pass, strict=True), 2):
            assert torch.equal(first, second) == (one == other)
    expected = Draws(3, 7)
    for split in ("train", "valid"):
        generator = expected(split, CPU)
        uniform = [torch.rand(2, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
        start = 2 * PASSES[order].index(split)
        for found, numbers_drawn in zip(drawn[start : start + 2], uniform, strict=True):
            assert torch.equal(found, -(-numbers_drawn.log()).log())


@pytest.mark.parametrize("order", ORDERS.list())
def test_a_step_does_not_depend_on_the_global_generator_and_depends_on_its_number(order, sampling, smooth_batch):
    net, _ = sampling
    start = {name: values.detach().clone() for name, values in net.named_parameters()}

    def after(seed, number):
        net.load_state_dict(start, strict=False)
        torch.manual_seed(seed)
        step_of(net, order)(smooth_batch(1), smooth_batch(2), number)
        return torch.cat([values.detach().flatten() for values in net.parameters()])

    assert torch.equal(after(0, 7), after(1, 7))
    assert not torch.equal(after(0, 7), after(0, 8))


def test_with_drawn_mixing_weights_the_difference_is_the_exact_product(sampling, smooth_batch, distance):
    net, _ = sampling
    inner, batches = InnerStep(lr=0.1, radius=0.01), (smooth_batch(1), smooth_batch(2))
    found, exact = (
        ORDERS.get(order)()(net, *batches, inner, draws=Draws(4, 2)).gradient for order in ("second", "second_exact")
    )
    assert distance(found, exact) <= 1e-4
