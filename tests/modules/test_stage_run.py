"""Which stage an epoch is in, and supernets that are built from what the stage before left."""

import pytest
import torch

from darts_pl.bilevel import Draws, SingleStage, Stage, Stages
from darts_pl.bilevel.stages import SingleStageSettings
from darts_pl.errors import UserError
from darts_pl.modules import StageRun
from darts_pl.spaces import CnnSupernet, build_space

CANDIDATES = ("none", "skip_connect", "sep_conv_3x3")


class Widening(Stages):
    """Three stages: each drops the weakest candidate of every edge and has twice the channels."""

    stages = (Stage(3, 1), Stage(2, 0, fresh_lr=False), Stage(4, 2))

    def plan(self, epochs):
        return self.stages

    def build(self, index, facts, factory):
        supernet = factory(init_channels=2 * 2**index)
        for name, live in (facts or {}).items():
            supernet.keep(name, live["live"])
        return supernet

    def end(self, index, supernet):
        facts = {}
        for name, mixing in supernet.mixing().items():
            rows = mixing.weights.tolist()
            live = supernet.arch.live(name)
            weakest = [
                min((weight, column) for column, weight in enumerate(row) if kept[column])[1]
                for row, kept in zip(rows, live, strict=True)
            ]
            facts[name] = {
                "live": tuple(
                    tuple(kept[column] and column != weak for column in range(3))
                    for kept, weak in zip(live, weakest, strict=True)
                ),
                "weakest": dict(enumerate(weakest)),
            }
        return facts


def factory(**changes):
    sizes = {"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 1e-3, **changes}
    return CnnSupernet(build_space("cnn", CANDIDATES, 2), **sizes)


def run_of(stages=None, epochs=9, seed=5):
    return StageRun(stages or Widening(), factory, epochs, seed)


def test_every_epoch_has_its_place_and_those_behind_the_last_are_in_the_last_stage():
    run = run_of()
    places = [(place.number, place.epoch) for place in map(run.place, range(11))]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (2, 5)]
    assert [run.place(epoch).stage for epoch in (0, 3, 5)] == list(Widening.stages)
    assert run.total == 9


def test_stages_that_are_longer_or_shorter_than_the_search_are_refused_with_the_sum_that_fits():
    with pytest.raises(UserError, match=r"the stages have 3 \+ 2 \+ 4 epochs, but search\.epochs=10"):
        run_of(epochs=10)


def tensors_of(net):
    return dict(net.named_parameters()) | dict(net.named_buffers())


def test_a_stage_is_built_the_same_whatever_was_drawn_before_and_draws_nothing_of_the_global_generator():
    run = run_of()
    first = run.first()
    state = torch.get_rng_state()
    built = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        built.append(run.enter(1, run.stages.end(0, first)))
        assert torch.equal(torch.get_rng_state(), before)
    torch.set_rng_state(state)
    one, other = map(tensors_of, built)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["arch.alphas.normal"].std() > 0
    torch.manual_seed(Draws(5, 1).seed("build"))
    again = factory(init_channels=4)
    assert all(torch.equal(values, one[name]) for name, values in again.named_parameters())


def test_other_seeds_and_stages_build_other_supernets():
    facts = run_of().stages.end(0, factory())
    alphas = [
        run_of(seed=seed).enter(stage, facts).alphas["normal"].detach() for seed, stage in ((5, 1), (5, 2), (6, 1))
    ]
    assert not torch.equal(alphas[0], alphas[1])
    assert not torch.equal(alphas[0], alphas[2])


def test_facts_have_gone_through_json_before_their_first_use_so_that_a_resumed_stage_gets_the_same():
    run = run_of()
    second = run.advance(run.first())
    assert (run.index, run.facts.keys()) == (1, {"normal", "reduce"})
    for facts in run.facts.values():
        assert facts["weakest"].keys() == {"0", "1", "2", "3", "4"}
        assert all(isinstance(row, list) for row in facts["live"])
    resumed = run_of()
    resumed.first()
    state = run.state_dict()
    again = resumed.enter(state["index"], state["facts"])
    assert all(torch.equal(values, tensors_of(again)[name]) for name, values in tensors_of(second).items())
    for name in ("normal", "reduce"):
        assert again.arch.live(name) == second.arch.live(name)
        assert all(sum(row) == 2 for row in again.arch.live(name))


def test_every_stage_is_built_of_what_the_one_before_left():
    run = run_of()
    nets = [run.first()]
    for index in (1, 2):
        nets.append(run.advance(nets[-1]))
        assert run.index == index
    assert [net.classifier.in_features for net in nets] == [2 * 2**index * 2 * 4 for index in range(3)]
    assert [{sum(row) for row in net.arch.live("normal")} for net in nets] == [{3}, {2}, {1}]


def test_a_schedule_of_the_learning_rate_reaches_from_a_stage_that_starts_one_to_the_next_that_does():
    run = run_of()
    assert [setattr(run, "index", index) or run.schedule_epochs for index in range(3)] == [5, 5, 4]
    run.plan = tuple(Stage(stage.epochs, fresh_lr=False) for stage in run.plan)
    assert [setattr(run, "index", index) or run.schedule_epochs for index in range(3)] == [9, 9, 9]


def test_a_state_differs_where_the_stage_or_its_facts_do():
    run, other = run_of(), run_of()
    first = run.first()
    assert run.state_dict() == {"index": 0, "facts": None}
    assert not other.differs(run.state_dict())
    run.advance(first)
    assert other.differs(run.state_dict())
    other.enter(1, run.facts)
    assert not other.differs(run.state_dict())
    changed = run.state_dict()
    changed["facts"] = {**changed["facts"], "normal": {}}
    assert other.differs(changed)


def test_one_stage_has_all_epochs_and_a_warm_up_of_at_most_as_many():
    assert SingleStage().plan(7) == (Stage(7),)
    settings = SingleStageSettings(warmup_epochs=3)
    assert SingleStage(settings).plan(7) == (Stage(7, 3),)
    assert SingleStage(settings).plan(2) == (Stage(2, 2),)
    net = factory()
    run = StageRun.single(net, 4)
    assert run.first() is net
    assert [run.place(epoch)[:2] for epoch in range(4)] == [(0, epoch) for epoch in range(4)]
