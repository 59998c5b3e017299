"""Selection by perturbation against numbers recorded from the DARTS-PT authors' code, in float64."""

import pytest
import torch

from darts_pl import interop
from darts_pl.genotype import from_pairs
from darts_pl.selection import Order, Perturbation, PerturbationSettings, Trials
from darts_pl.spaces import CellSpace, CnnSupernet, SearchSpace

pytestmark = pytest.mark.parity


def supernet_of(data):
    """The recorded search network, whose two cell types may have candidates of their own."""
    state, hyper = data["state_dict"], data["hyper"]
    cells = {}
    for name in ("normal", "reduce"):
        candidates = tuple(map(tuple, data[f"candidates_{name}"]))
        nodes = {2: 1, 5: 2, 9: 3, 14: 4}[len(candidates)]
        cells[name] = CellSpace(2, nodes, 2, candidates)
    supernet = CnnSupernet(
        SearchSpace("cnn", cells),
        init_channels=hyper["init_channels"],
        layers=hyper["layers"],
        classes=hyper["num_classes"],
        in_channels=state["stem.0.weight"].shape[1],
    )
    supernet.load_state_dict(interop.import_supernet(supernet, state, strict=False), strict=False)
    supernet.load_alphas({name: data[f"alphas_{name}"] for name in ("normal", "reduce")})
    return supernet.double()


def order_of(events):
    found = {"operation": {"normal": [], "reduce": []}, "topology": {"normal": [], "reduce": []}}
    for event in events:
        found[event["kind"]][event["cell"]].append(event["edge" if event["kind"] == "operation" else "node"])
    return Order(found["operation"], found["topology"])


def recorded_table(scores, criterion):
    """Ours in the units of the recording."""
    values = [score["loss"] if criterion == "loss" else 100 * score["accuracy"] for score in scores]
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.slow
def test_every_decision_every_score_and_the_genotype_are_the_recorded_ones(perturbation_file, recorded_in, agrees):
    data = recorded_in(perturbation_file)
    supernet = supernet_of(data)
    batches = [(batch["x"].double(), batch["y"]) for batch in data["valid_batches"]]
    trials = Trials(
        supernet, lambda: batches, lambda outcome, batch: (len(batch[1]), (outcome.outputs.argmax(1) == batch[1]).sum())
    )
    criterion = "loss" if data["hyper"]["criterion"] == "loss" else "accuracy"
    settings = PerturbationSettings(
        criterion=criterion, topology="each", fraction=1.0, tune_epochs=0, tune_lr=0.1, fix_alpha=False
    )
    genotype = Perturbation(settings, order_of(data["events"]))(supernet, trials)

    expected = {
        name: ([*map(tuple, data["genotype"][name])], list(range(2, 2 + len(data["genotype"][name]) // 2)))
        for name in ("normal", "reduce")
    }
    assert genotype == from_pairs("cnn", expected)
    assert list(trials.journal) == [
        f"{event['cell']} edge {event['edge']}"
        if event["kind"] == "operation"
        else f"{event['cell']} node {event['node']}"
        for event in data["events"]
    ]
    for event, found in zip(data["events"], trials.journal.values(), strict=True):
        for what in ("loss", "accuracy"):
            if event["kind"] == "operation":
                names = data[f"candidates_{event['cell']}"][event["edge"]]
                assert found["chosen"] == names[event["chosen"]]
                scores, recorded = [found["removed"][name] for name in names], event[what]
            else:
                assert found["kept"] == event["kept"]
                scores = [found["removed"][0][str(edge)] for edge in event["edges"]]
                recorded = event[f"first_round_{what}"]
            agrees(perturbation_file, what, recorded_table(scores, what), torch.tensor(recorded, dtype=torch.float64))
