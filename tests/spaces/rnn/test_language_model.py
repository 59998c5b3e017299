"""The language model of a recurrent genotype against the paper's formulas, and its published sizes."""

import pytest
import torch

from darts_pl import interop
from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair, from_pairs
from darts_pl.spaces import Dropouts, LanguageModel, build
from darts_pl.spaces.rnn import sequence
from darts_pl.zoo import published

NAMES = ("darts_v1_rnn", "darts_v2_rnn", "enas_rnn")
FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}


def model_of(name, units=6, vocabulary=11, dropouts=None):
    network = LanguageModel(published(name), vocabulary=vocabulary, units=units, dropouts=dropouts).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(-1, 1)
    return network


def one_by_one(network, genotype, tokens, hidden, masks):
    """Outputs [T, B, H], by the paper's formulas, with given masks for words, embeddings, x and h."""
    of_words, of_embeddings, of_x, of_h = masks
    cell, (recurrent,) = network.cell, genotype.cells.values()
    outputs = []
    for step in tokens:
        x = (network.words.weight * of_words)[step] * of_embeddings[0]
        gate, inner = (torch.cat([x * of_x, hidden * of_h], dim=1) @ cell.first).chunk(2, dim=1)
        states = [hidden + gate.sigmoid() * (inner.tanh() - hidden)]
        for (name, source), matrix in zip(recurrent.pairs, cell.nodes, strict=True):
            gate, inner = ((states[source] * of_h) @ matrix).chunk(2, dim=1)
            states.append(states[source] + gate.sigmoid() * (FUNCTIONS[name](inner) - states[source]))
        hidden = torch.stack([states[node] for node in recurrent.concat]).mean(0)
        outputs.append(hidden)
    return torch.stack(outputs)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_formulas_with_one_mask_a_sequence(name, monkeypatch):
    masks, draw = [], sequence.dropout_mask
    monkeypatch.setattr(sequence, "dropout_mask", lambda *arguments: masks.append(draw(*arguments)) or masks[-1])
    network = model_of(name, dropouts=Dropouts(0.75, 0.25, 0.75, 0.2, 0.1))
    tokens, hidden = torch.randint(11, (5, 4)), torch.randn(4, 6, dtype=torch.float64)
    found = network(tokens, hidden)
    expected = one_by_one(network, published(name), tokens, hidden, masks[:4])
    assert len(masks) == 5
    torch.testing.assert_close(found.outputs, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.dropped, expected * masks[4], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.logits, found.dropped @ network.words.weight.T + network.words.bias)


@pytest.mark.parametrize(("name", "parameters"), [*zip(NAMES, (22_960_000, 22_960_000, 27_295_000), strict=True)])
def test_on_penn_treebank_it_has_as_many_parameters_as_published(name, parameters):
    with torch.device("meta"):
        network = build(published(name), vocabulary=10_000, units=850)
    assert network.count_parameters() == parameters


def test_a_genotype_that_builds_no_language_model_is_refused():
    two = CellGenotype(((Pair("tanh", 0), Pair("relu", 0)),), concat=(1,))
    for genotype, words in (
        (published("darts_v2"), "kind 'cnn' does not build a language model; .*darts_v2_rnn"),
        (from_pairs("rnn", {"recurrent": ([("swish", 0)], [1])}), "unknown operation 'swish'"),
        (Genotype("rnn", {"recurrent": two}), "reads 2 nodes"),
    ):
        with pytest.raises(UserError, match=words):
            LanguageModel(genotype, vocabulary=5, units=4)
    with pytest.raises(UserError, match="units=0"):
        LanguageModel(published("darts_v1_rnn"), vocabulary=5, units=0)


def test_a_state_with_untied_matrices_is_refused():
    network = model_of("darts_v1_rnn")
    state = interop.export_recurrent(network.state_dict())
    assert interop.import_recurrent(network, state).keys() == network.state_dict().keys()
    with pytest.raises(UserError, match="differ"):
        interop.import_recurrent(network, state | {"decoder.weight": state["decoder.weight"] + 1})
    with pytest.raises(UserError, match="missing"):
        interop.load(network, interop.import_recurrent(network, {"encoder.weight": state["encoder.weight"]}))
