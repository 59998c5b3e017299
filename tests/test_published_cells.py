"""The published cells of the later methods against the recorded data of where they were published."""

import json
import re
from pathlib import Path

import pytest
import torch

from darts_pl.genotype import parse
from darts_pl.spaces import Classifier, build, count_parameters, size_of, space_of
from darts_pl.zoo import ZOO, published

RECORDED = json.loads((Path(__file__).parent / "goldens/family/published_cells.json").read_text(encoding="utf-8"))
FACTS = RECORDED["facts"]
COUNTED = {name: fact["computed"] for name, fact in FACTS.items() if fact["computed"]}
IMAGES = [name for name, fact in FACTS.items() if fact["genotype"]["kind"] == "cnn"]
TEXT = [name for name in FACTS if name not in IMAGES]

#: What the recorded counts are called: C36_L20_cifar10_params, C48_L14_multiply_adds, ..._with_auxiliary_tower.
KEY = re.compile(
    r"C(?P<channels>\d+)_L(?P<layers>\d+)_((?P<network>cifar10|imagenet)_)?(?P<what>params|multiply_adds)"
    r"(?P<tower>_with_auxiliary_tower)?"
)


def counts():
    """(name of the cell, network, key) of every recorded count that is of this project's own network."""
    for name in IMAGES:
        for key in COUNTED.get(name, {}):
            found = KEY.fullmatch(key)
            if found:
                imagenet = found["network"] == "imagenet" or (found["network"] is None and found["layers"] == "14")
                yield name, "imagenet" if imagenet else "cifar", key


def test_all_43_cells_are_in_the_zoo_beside_the_7_of_the_first_paper_and_one_more():
    assert len(FACTS) == 43
    assert set(FACTS) < set(ZOO)
    assert len(ZOO) == 51  # and GDAS with the fixed reduction cell


@pytest.mark.parametrize("name", FACTS)
def test_a_cell_is_the_recorded_one_and_survives_writing_and_reading(name):
    genotype = published(name)
    assert genotype == parse(json.dumps(FACTS[name]["genotype"]))
    assert parse(str(genotype)) == parse(genotype.to_json()) == genotype
    if FACTS[name].get("genotype_text"):
        assert genotype == parse(FACTS[name]["genotype_text"])
    assert FACTS[name]["read_from"]["name"] in ZOO[name].source


def test_no_two_names_have_the_same_cells():
    # The order of pairs distinguishes snas_mild from snas.
    assert len({entry.genotype for entry in ZOO.values()}) == len(ZOO)


@pytest.mark.parametrize(("name", "network", "key"), [*counts()])
def test_a_network_of_published_size_has_the_recorded_counts(name, network, key):
    found = KEY.fullmatch(key)
    sizes = {"channels": int(found["channels"]), "layers": int(found["layers"]), "tower": bool(found["tower"])}
    parameters, multiply_adds = size_of(published(name), network, **sizes)
    assert (parameters if found["what"] == "params" else multiply_adds) == COUNTED[name][key]


@pytest.mark.parametrize("name", TEXT)
def test_a_language_model_of_published_size_has_the_recorded_count(name):
    genotype = published(name)
    expected = COUNTED[name]["ptb_params_H850_V10000"]
    assert space_of("rnn").published_sizes(genotype) == {"ptb": (expected, None)}


@pytest.mark.parametrize("name", ["darts_v2", "setn", "fairdarts_c", "snas_aggressive", "amoebanet_d"])
def test_the_size_counted_part_by_part_is_that_of_the_network_as_a_whole(name):
    with torch.device("meta"):
        network = Classifier(published(name), init_channels=36, layers=20, classes=10)
    assert size_of(published(name), "cifar")[0] == count_parameters(network)


def test_the_zoo_has_every_published_number_of_the_record():
    for name, fact in FACTS.items():
        given = fact.get("published", {})
        numbers = [given[key] for key in ("params_M", "multiply_adds_M", "imagenet_multiply_adds_M") if key in given]
        shown = {value for size in ZOO[name].sizes for value in (size.parameters, size.multiply_adds)}
        for number in numbers:
            wanted = {number} if not isinstance(number, str) else {float(one) for one in re.findall(r"\d\.\d", number)}
            assert wanted & shown, (name, number)


@pytest.mark.parametrize("name", IMAGES)
def test_a_cell_trains_one_step_with_finite_gradients(name):
    torch.manual_seed(0)
    network = Classifier(published(name), init_channels=4, layers=3, classes=3, in_channels=1, auxiliary=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    images, labels = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0])
    before = {key: value.clone() for key, value in network.named_parameters()}
    logits, auxiliary = network(images)
    losses = [torch.nn.functional.cross_entropy(scores, labels) for scores in (logits, auxiliary)]
    (losses[0] + 0.4 * losses[1]).backward()
    optimizer.step()
    missing = [key for key, value in network.named_parameters() if value.grad is None]
    assert all(".preprocess" in key for key in missing)
    assert bool(missing) != network.reads_all_inputs
    assert all(value.grad.isfinite().all() for value in network.parameters() if value.grad is not None)
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, before[key])]
    assert "classifier.weight" in moved
    assert "stem.0.weight" in moved


@pytest.mark.parametrize("name", TEXT)
def test_a_recurrent_cell_trains_one_step_with_finite_gradients(name):
    torch.manual_seed(0)
    model = build(published(name), vocabulary=7, units=5)
    words = torch.randint(7, (6, 2))
    model(words).logits.square().mean().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())
