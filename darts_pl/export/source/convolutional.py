"""The source of a network of normal and reduction cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import ascii_lowercase
from typing import Any, NamedTuple

from darts_pl import interop
from darts_pl.export.source.code import Source, concatenation, definition, total
from darts_pl.export.source.operations import HALVES, Written, write_operation
from darts_pl.genotype import Genotype
from darts_pl.spaces import CellPlan, Classifier, plan_cells

_CLASSES = {"normal": "NormalCell", "reduce": "ReductionCell"}
_DOCS = {
    "normal": "A cell that keeps the size of its maps.",
    "reduce": "A cell that halves its maps and doubles their channels.",
}
#: Our names of the tensors of what prepares a cell's input.
_PREPARED = {"op.": "", **HALVES}


def convolutional_source(genotype: Genotype, network: Classifier) -> Source:
    """The source of a trained `Classifier`, without its auxiliary tower.

    Raises:
        UserError: if the genotype has an operation that is not written out.
    """
    cells = _Cells(genotype, network)
    code = [cells.code(cell_type) for cell_type in _CLASSES if cell_type in cells.types]
    code.append(_network(cells, network))
    blocks = ["ReLUConvNorm", *(["FactorizedReduce"] if cells.halves else []), *cells.blocks]
    return Source(blocks, "\n\n".join(code), dict(cells.names(network)))


class _Edge(NamedTuple):
    """What one pair of a genotype becomes: where its modules are, and what they are."""

    node: int
    attribute: str
    source: int
    operation: Written
    skip: Written | None


class _Cells:
    """Writes the cells of a genotype, and knows the names of their tensors."""

    def __init__(self, genotype: Genotype, network: Classifier) -> None:
        self.cells, self.sizes = genotype.cells, interop.classifier_sizes(network.state_dict())
        self.plans: list[CellPlan] = plan_cells(
            network.stem,
            self.sizes["init_channels"],
            self.sizes["layers"],
            lambda reduction: len(self.cells["reduce" if reduction else "normal"].concat),
            self.sizes["reductions"],
        )
        #: of every cell
        self.types = ["reduce" if plan.reduction else "normal" for plan in self.plans]
        self.edges = {cell_type: list(self._edges(cell_type)) for cell_type in set(self.types)}

    @property
    def halves(self) -> bool:
        """Whether a cell reads a map that is twice as large as its other input."""
        return any(plan.halve_before for plan in self.plans)

    @property
    def blocks(self) -> Iterator[str]:
        """The classes that operations use."""
        for edges in self.edges.values():
            for edge in edges:
                yield from (written.block for written in (edge.operation, edge.skip) if written and written.block)

    def _edges(self, cell_type: str) -> Iterator[_Edge]:
        for node, pairs in enumerate(self.cells[cell_type].nodes, start=2):
            for pair, letter in zip(pairs, ascii_lowercase, strict=False):
                stride = 2 if cell_type == "reduce" and pair.source < 2 else 1
                skip = write_operation("skip_connect", stride) if self.sizes["extra_skip"] else None
                operation = write_operation(pair.operation, stride)
                yield _Edge(node, f"node{node}_{letter}", pair.source, operation, skip)

    def code(self, cell_type: str) -> str:
        """The class of a cell."""
        arguments = ["self", "before: int", "last: int", "channels: int"]
        before = "ReLUConvNorm(before, channels)"
        prepare = [f"        self.preprocess0 = {before}"]
        if self.halves:
            arguments.append("halve_before: bool = False")
            prepare = [
                "        prepare = FactorizedReduce if halve_before else ReLUConvNorm",
                "        self.preprocess0 = prepare(before, channels)",
            ]
        lines = [
            f"class {_CLASSES[cell_type]}(nn.Module):",
            f'    """{_DOCS[cell_type]}',
            "",
            "    Nodes 0 and 1 are the outputs of the cell before last and of the last cell.",
            '    """',
            "",
            definition("__init__", arguments, ""),
            "        super().__init__()",
            *prepare,
            "        self.preprocess1 = ReLUConvNorm(last, channels)",
        ]
        for edge in self.edges[cell_type]:
            for attribute, written in ((edge.attribute, edge.operation), (f"{edge.attribute}_skip", edge.skip)):
                if written is not None and written.module:
                    lines.append(f"        self.{attribute} = {written.module}")
        lines += [
            "",
            definition("forward", ["self", "before: Tensor", "last: Tensor"], "Tensor"),
            "        node0 = self.preprocess0(before)",
            "        node1 = self.preprocess1(last)",
            *self._sums(cell_type),
        ]
        return "\n".join(lines) + "\n"

    def _sums(self, cell_type: str) -> Iterator[str]:
        terms: dict[int, list[str]] = {}
        for edge in self.edges[cell_type]:
            term = edge.operation.reads(f"node{edge.source}", edge.attribute)
            if edge.skip is not None:
                term = f"({term} + {edge.skip.reads(f'node{edge.source}', f'{edge.attribute}_skip')})"
            terms.setdefault(edge.node, []).append(term)
        for node, parts in terms.items():
            yield total(f"node{node}", parts)
        yield concatenation([f"node{node}" for node in self.cells[cell_type].concat])

    def names(self, network: Classifier) -> Iterator[tuple[str, str]]:
        """Our name of every tensor, and that of the file's network."""
        for name in network.state_dict():
            if name.startswith(("stem.", "classifier.")):
                yield name, name.removeprefix("stem.") if name.startswith("stem.stem") else name
            elif name.startswith("cells."):
                _, number, module, rest = name.split(".", 3)
                yield name, f"cells.{number}.{self._name(self.types[int(number)], module, rest)}"

    def _name(self, cell_type: str, module: str, rest: str) -> str:
        """Of a tensor inside a cell."""
        if module in ("preprocess0", "preprocess1"):
            return f"{module}.{_renamed(rest, _PREPARED)}"
        index, _, tensor = rest.partition(".")
        edge = self.edges[cell_type][int(index)]
        if module == "operations":
            return f"{edge.attribute}.{_renamed(tensor, edge.operation.renamed)}"
        assert edge.skip is not None
        return f"{edge.attribute}_skip.{_renamed(tensor, edge.skip.renamed)}"


def _renamed(tensor: str, renamed: Mapping[str, str]) -> str:
    for before, after in renamed.items():
        if tensor.startswith(before):
            return after + tensor.removeprefix(before)
    return tensor


def _network(cells: _Cells, network: Classifier) -> str:
    sizes = cells.sizes
    channels, classes, width = sizes["in_channels"], sizes["classes"], network.classifier.in_features
    rows = []
    for plan, cell_type in zip(cells.plans, cells.types, strict=True):
        halve = ", halve_before=True" if plan.halve_before else ""
        rows.append(f"                {_CLASSES[cell_type]}({plan.in_before}, {plan.in_last}, {plan.channels}{halve}),")
    return "\n".join(
        [
            "class Network(nn.Module):",
            f'    """Images [N, {channels}, H, W], normalised -> logits [N, {classes}]."""',
            "",
            definition("__init__", ["self"], ""),
            "        super().__init__()",
            *_stem(sizes),
            "        self.cells = nn.ModuleList(",
            "            [",
            *rows,
            "            ]",
            "        )",
            f"        self.classifier = nn.Linear({width}, {classes})",
            "",
            definition("forward", ["self", "images: Tensor"], "Tensor"),
            *_start(sizes),
            "        for cell in self.cells:",
            "            before, last = last, cell(before, last)",
            "        return self.classifier(last.mean((2, 3)))",
            "",
        ]
    )


def _stem(sizes: Mapping[str, Any]) -> list[str]:
    """The lines that make the stem."""
    channels, width = sizes["in_channels"], sizes["init_channels"]

    def layers(inputs: int, outputs: int, stride: str = ", stride=2") -> list[str]:
        return [
            f"            nn.Conv2d({inputs}, {outputs}, 3{stride}, padding=1, bias=False),",
            f"            nn.BatchNorm2d({outputs}),",
        ]

    def sequence(name: str, lines: list[str]) -> list[str]:
        return [f"        self.{name} = nn.Sequential(", *lines, "        )"]

    if sizes["stem"] == "cifar":
        return sequence("stem", layers(channels, 3 * width, ""))
    relu = "            nn.ReLU(),"
    first = [*layers(channels, width // 2), relu, *layers(width // 2, width)]
    return [*sequence("stem0", first), *sequence("stem1", [relu, *layers(width, width)])]


def _start(sizes: Mapping[str, Any]) -> list[str]:
    """The lines that compute what the first cell reads."""
    if sizes["stem"] == "cifar":
        return ["        before = last = self.stem(images)"]
    return ["        before = self.stem0(images)", "        last = self.stem1(before)"]
