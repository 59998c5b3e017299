"""The kind of recurrent cells."""

from __future__ import annotations

from darts_pl.genotype.kinds import Kind, register_kind


@register_kind
def rnn() -> Kind:
    """One cell that starts from one node computed from input and hidden state (paper appendix A.1.2)."""
    return Kind("rnn", cell_types=("recurrent",), input_nodes=1, inputs_per_node=1, concat="concat")
