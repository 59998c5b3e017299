"""The order of samples: permutations, purity, shares of ranks."""

import pytest
import torch

from darts_pl.data import IndexOrder, MixedOrder, SequentialOrder, derive_seed


def whole_round(order, round):
    return torch.cat([order.indices(round, i) for i in range(order.batches)])


def test_a_derived_seed_is_the_recorded_one_on_every_machine():
    assert derive_seed(2, "train", "order", 0) == 4059778468704448020
    assert derive_seed(1, 23) != derive_seed(12, 3)


@pytest.mark.parametrize(("size", "batch_size", "batches"), [(25000, 64, 391), (128, 64, 2), (5, 5, 1), (7, 3, 3)])
def test_a_round_is_a_permutation_with_its_last_partial_batch(size, batch_size, batches):
    order = IndexOrder(size, batch_size, seed=0, stream="train")
    assert order.batches == batches
    indices = whole_round(order, 3)
    assert indices.dtype == torch.int64
    assert torch.equal(indices.sort().values, torch.arange(size))
    assert len(order.indices(3, batches - 1)) == size - (batches - 1) * batch_size


def test_a_batch_depends_on_seed_stream_round_and_position_only():
    order = IndexOrder(100, 8, seed=5, stream="train")
    expected = {(round, i): order.indices(round, i).clone() for round in (0, 1, 7) for i in range(order.batches)}
    torch.manual_seed(123)
    again = IndexOrder(100, 8, seed=5, stream="train")
    for (round, i), indices in reversed(expected.items()):
        assert torch.equal(again.indices(round, i), indices)
    for other in (IndexOrder(100, 8, seed=6, stream="train"), IndexOrder(100, 8, seed=5, stream="valid")):
        assert not torch.equal(whole_round(other, 0), whole_round(order, 0))
    assert not torch.equal(whole_round(order, 0), whole_round(order, 1))


def test_drawing_an_order_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    order = IndexOrder(100, 8, seed=5, stream="train")
    order.indices(4, 2)
    torch.rand(3, generator=order.generator(4, 2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [60, 61, 62, 63, 64, 71])
def test_ranks_share_each_global_batch_without_overlap(size, ranks):
    per_rank = 12 // ranks
    single = IndexOrder(size, per_rank * ranks, seed=1, stream="train")
    shares = [IndexOrder(size, per_rank, 1, "train", rank, ranks) for rank in range(ranks)]
    assert len({share.batches for share in shares}) == 1
    for i in range(shares[0].batches):
        parts = [share.indices(2, i) for share in shares]
        assert len({len(part) for part in parts}) == 1
        assert len(parts[0]) >= 1
        union = torch.cat(parts)
        assert len(union) == len(single.indices(2, i)) // ranks * ranks
        assert torch.equal(union, single.indices(2, i)[: len(union)])
    seen = torch.cat([whole_round(share, 2) for share in shares])
    assert len(seen.unique()) == len(seen) == size // ranks * ranks


def test_samples_that_cannot_be_shared_out_are_others_in_every_round():
    shares = [IndexOrder(7, 2, 0, "train", rank, 2) for rank in range(2)]
    left_out = {
        round: set(range(7)) - set(torch.cat([whole_round(share, round) for share in shares]).tolist())
        for round in range(50)
    }
    assert all(len(out) == 1 for out in left_out.values())
    assert set.union(*left_out.values()) == set(range(7))


def test_a_batch_beyond_the_round_is_an_index_error():
    with pytest.raises(IndexError, match="batch 4 of 4"):
        IndexOrder(7, 2, 0, "train").indices(0, 4)
    with pytest.raises(IndexError):
        SequentialOrder(7, 2).indices(4)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [4, 8, 9, 16, 17, 33])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 50])
def test_evaluation_sees_each_sample_once_in_equally_many_batches_on_all_ranks(size, batch_size, ranks):
    orders = [SequentialOrder(size, batch_size, rank, ranks) for rank in range(ranks)]
    assert len({order.batches for order in orders}) == 1
    batches = [order.indices(i) for order in orders for i in range(order.batches)]
    assert all(1 <= len(batch) <= batch_size + (ranks > 1) for batch in batches)
    assert sorted(torch.cat(batches).tolist()) == list(range(size))
    if ranks == 1:
        assert torch.cat(batches).tolist() == list(range(size))


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(12, [4, 4, 4]), (13, [4, 4, 5]), (14, [4, 4, 6]), (15, [4, 4, 4, 3]), (3, [3]), (5, [5]), (1, [1])],
)
def test_a_small_rest_joins_the_last_batch_of_a_score(size, sizes):
    order = MixedOrder(size, 4, seed=1)
    assert [len(order.indices(i)) for i in range(order.batches)] == sizes
    together = torch.cat([order.indices(i) for i in range(order.batches)])
    assert torch.equal(together.sort().values, torch.arange(size))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size", [20, 21, 24, 27])
def test_the_batches_of_a_score_do_not_depend_on_the_number_of_ranks(size, ranks):
    alone = MixedOrder(size, 4, seed=1)
    expected = [alone.indices(i).tolist() for i in range(alone.batches)]
    orders = [MixedOrder(size, 4, 1, rank, ranks) for rank in range(ranks)]
    assert len({order.batches for order in orders}) == 1
    dealt = [order.indices(i).tolist() for i in range(orders[0].batches) for order in orders]
    assert dealt[: len(expected)] == expected
    assert not any(dealt[len(expected) :])


def test_the_batches_of_a_score_mix_sorted_classes_and_depend_on_the_seed():
    labels = torch.arange(1000) // 100
    order = MixedOrder(1000, 50, seed=0)
    counts = torch.stack([labels[order.indices(i)].bincount(minlength=10) for i in range(order.batches)]).double()
    statistic = float(((counts - 5) ** 2 / 5).sum())
    assert 120 < statistic < 230  # chi-square with 19 * 9 = 171 degrees of freedom; sorted labels give 9,000
    assert not torch.equal(order.indices(0), MixedOrder(1000, 50, seed=1).indices(0))
