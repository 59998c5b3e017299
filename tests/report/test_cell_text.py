"""Cells as text."""

import re

from darts_pl.genotype import Genotype, from_pairs
from darts_pl.report import cell_text


def test_a_convolutional_cell_is_written_as_sums_and_a_concatenation(darts_v2: Genotype) -> None:
    assert cell_text(darts_v2) == (
        "normal cell\n"
        "  node 0 = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})\n"
        "  node 1 = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})\n"
        "  node 2 = sep_conv_3x3(c_{k-1}) + skip_connect(c_{k-2})\n"
        "  node 3 = skip_connect(c_{k-2}) + dil_conv_3x3(node 0)\n"
        "  c_{k}  = concat(node 0, node 1, node 2, node 3)\n"
        "\n"
        "reduction cell\n"
        "  node 0 = max_pool_3x3(c_{k-2}) + max_pool_3x3(c_{k-1})\n"
        "  node 1 = skip_connect(node 0)  + max_pool_3x3(c_{k-1})\n"
        "  node 2 = max_pool_3x3(c_{k-2}) + skip_connect(node 0)\n"
        "  node 3 = skip_connect(node 0)  + max_pool_3x3(c_{k-1})\n"
        "  c_{k}  = concat(node 0, node 1, node 2, node 3)\n"
    )


def test_a_recurrent_cell_starts_from_both_inputs_and_ends_in_a_mean(darts_v2_rnn: Genotype) -> None:
    lines = cell_text(darts_v2_rnn).splitlines()
    assert lines[:3] == ["recurrent cell", "  node 0 = tanh(x_t, h_{t-1})", "  node 1 = sigmoid(node 0)"]
    assert lines[-1].startswith("  h_t    = mean(node 1, node 2,")


def test_every_pair_is_written_once(genotype: Genotype) -> None:
    blocks = cell_text(genotype).split("\n\n")
    for block, cell in zip(blocks, genotype.cells.values(), strict=True):
        written = re.findall(r"[=+] (\w+)\((?!x_t)", block.rpartition("\n  ")[0])
        assert written == [pair.operation for pair in cell.pairs]
        assert len({line.index(" = ") for line in block.splitlines()[1:]}) == 1


def test_a_node_without_inputs_is_written_as_zero() -> None:
    cell = ([("skip_connect", 0)], [2, 3])
    genotype = from_pairs("cnn", {"normal": cell, "reduce": cell}, {"normal": [0, 1], "reduce": [0, 1]})
    assert "  node 0 = 0\n  node 1 = skip_connect(c_{k-2})\n" in cell_text(genotype)
