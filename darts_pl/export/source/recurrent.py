"""The source of a language model."""

from __future__ import annotations

from darts_pl.errors import UserError
from darts_pl.export.source.code import Source, definition, total
from darts_pl.genotype import Genotype
from darts_pl.spaces import LanguageModel

#: By activation, how it is written.
_ACTIVATIONS = {"tanh": "torch.tanh", "relu": "torch.relu", "sigmoid": "torch.sigmoid", "identity": "identity"}


def recurrent_source(genotype: Genotype, network: LanguageModel) -> Source:
    """The source of a trained `LanguageModel`, without its dropout.

    Raises:
        UserError: if the genotype has an activation that is not written out.
    """
    (cell,) = genotype.cells.values()
    lines = []
    for node, pair in enumerate(cell.pairs, start=1):
        if pair.operation not in _ACTIVATIONS:
            raise UserError(
                f"format=source: the activation {pair.operation!r} is not written out as source; use format=pt2"
            )
        lines.append(
            f"        node{node} = gated(node{pair.source}, self.matrices[{node - 1}], {_ACTIVATIONS[pair.operation]})"
        )
    used = {pair.operation for pair in cell.pairs}
    mean = [f"node{node}" for node in cell.concat]
    code = "\n".join(
        [
            "class Cell(nn.Module):",
            '    """The new hidden state from a word\'s vector and the old state."""',
            "",
            definition("__init__", ["self", "units: int"], ""),
            "        super().__init__()",
            "        self.start = nn.Parameter(torch.empty(2 * units, 2 * units))",
            "        self.matrices = nn.ParameterList(",
            f"            torch.empty(units, 2 * units) for _ in range({len(cell.nodes)})",
            "        )",
            "",
            definition("forward", ["self", "vectors: Tensor", "hidden: Tensor"], "Tensor"),
            "        both = torch.cat([vectors, hidden], dim=1) @ self.start",
            "        gate, candidate = both.chunk(2, dim=1)",
            "        node0 = torch.lerp(hidden, candidate.tanh(), gate.sigmoid())",
            *lines,
            total("nodes", mean),
            f"        return nodes / {len(mean)}",
            "",
            "",
            _network(network),
        ]
    )
    names = {"words.weight": "words.weight", "words.bias": "bias", "cell.first": "cell.start"}
    names |= {f"cell.nodes.{index}": f"cell.matrices.{index}" for index in range(len(cell.nodes))}
    return Source(["gated", *(["identity"] if "identity" in used else [])], code, names)


def _network(network: LanguageModel) -> str:
    vocabulary, units = network.vocabulary, network.cell.units
    return "\n".join(
        [
            "class Network(nn.Module):",
            '    """Numbers of words [B] -> logits of the next word [B, V], step by step."""',
            "",
            definition("__init__", ["self"], ""),
            "        super().__init__()",
            f"        self.words = nn.Embedding({vocabulary}, {units})",
            f"        self.bias = nn.Parameter(torch.zeros({vocabulary}))",
            f"        self.cell = Cell({units})",
            "",
            definition("forward", ["self", "words: Tensor", "hidden: Tensor"], "tuple[Tensor, Tensor]"),
            '        """Logits, and the next hidden state [B, H]; the first one is zero."""',
            "        hidden = self.cell(self.words(words), hidden)",
            "        return hidden @ self.words.weight.t() + self.bias, hidden",
            "",
        ]
    )
