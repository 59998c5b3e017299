"""The source of a network of NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darts_pl.export.source.code import Source, definition, total
from darts_pl.export.source.operations import Written, write_operation
from darts_pl.genotype import NONE, Genotype
from darts_pl.spaces import NasBench201Network

#: From our names of the parts of a residual block to those of the file.
_IN_BLOCK = {"conv_a.op": "first", "conv_b.op": "second", "downsample": "shortcut"}


def nasbench201_source(genotype: Genotype, network: NasBench201Network) -> Source:
    """The source of a trained `NasBench201Network`; operations whose outputs nothing reads are left out."""
    (cell,) = genotype.cells.values()
    edges = _used_edges(cell.nodes)
    names = {}
    for name in network.state_dict():
        found = _name(name, network, edges)
        if found is not None:
            names[name] = found
    blocks = ["ReLUConvNorm", "ResidualBlock", *(written.block for *_, written in edges if written.block)]
    output = len(cell.nodes)
    network_code = _network(network, has_modules=any(written.module for *_, written in edges))
    return Source(blocks, f"{_cell(edges, output)}\n\n{network_code}", names)


#: (number of the edge, source, target, operation)
_Edges = list[tuple[int, int, int, Written]]


def _used_edges(nodes: Any) -> _Edges:
    """The edges that are computed and whose target is the output or is read on a way to it. A node that nothing enters
    is zero, and what reads it is computed all the same: BatchNorm makes something of it."""
    every, number = [], 0
    for target, pairs in enumerate(nodes, start=1):
        for pair in sorted(pairs, key=lambda one: one.source):
            if pair.operation != NONE:
                every.append((number, pair.source, target, pair.operation))
            number += 1
    useful = {len(nodes)}
    for _, source, target, _ in reversed(every):  # targets in falling order
        useful |= {source} if target in useful else set()
    return [
        (number, source, target, write_operation(name, 1)) for number, source, target, name in every if target in useful
    ]


def _cell(edges: _Edges, output: int) -> str:
    lines = [
        "class Cell(nn.Module):",
        '    """A cell whose nodes sum what enters them; node 0 is its input."""',
        "",
    ]
    modules = [f"        self.{_attribute(s, t)} = {written.module}" for _, s, t, written in edges if written.module]
    if modules:
        lines += [definition("__init__", ["self", "channels: int"], ""), "        super().__init__()", *modules, ""]
    lines += [definition("forward", ["self", "node0: Tensor"], "Tensor"), *_sums(edges, output)]
    lines.append(f"        return node{output}")
    return "\n".join(lines) + "\n"


def _sums(edges: _Edges, output: int) -> Iterator[str]:
    read = {source for _, source, _, _ in edges} | {output}
    for target in sorted(read - {0}):
        terms = [w.reads(f"node{source}", _attribute(source, target)) for _, source, t, w in edges if t == target]
        yield total(f"node{target}", terms or ["torch.zeros_like(node0)"])


def _attribute(source: int, target: int) -> str:
    return f"edge_{source}_{target}"


def _name(name: str, network: NasBench201Network, edges: _Edges) -> str | None:
    """The name of a tensor in the file's network; None where that has none."""
    if name.startswith("lastact.0."):
        return f"norm.{name.removeprefix('lastact.0.')}"
    if not name.startswith("cells."):
        return name
    _, number, rest = name.split(".", 2)
    for before, after in _IN_BLOCK.items():
        if rest.startswith(f"{before}."):
            return f"cells.{number}.{after}{rest.removeprefix(before)}"
    _, edge, tensor = rest.split(".", 2)
    for one, source, target, written in edges:
        if one == int(edge):
            for before, after in written.renamed.items():
                tensor = after + tensor.removeprefix(before) if tensor.startswith(before) else tensor
            return f"cells.{number}.{_attribute(source, target)}.{tensor}"
    return None


def _network(network: NasBench201Network, has_modules: bool) -> str:
    channels = network.classifier.in_features // 4
    stage = (len(network.cells) - 2) // 3
    rows = []
    for number in range(3):
        width = channels * 2**number
        cell = f"Cell({width})" if has_modules else "Cell()"
        rows += [f"                ResidualBlock({width // 2}, {width}),"] if number else []
        rows += [f"                {cell},"] * stage
    classes = network.classifier.out_features
    return "\n".join(
        [
            "class Network(nn.Module):",
            f'    """Images [N, {network.in_channels}, H, W], normalised -> logits [N, {classes}]."""',
            "",
            definition("__init__", ["self"], ""),
            "        super().__init__()",
            "        self.stem = nn.Sequential(",
            f"            nn.Conv2d({network.in_channels}, {channels}, 3, padding=1, bias=False),",
            f"            nn.BatchNorm2d({channels}),",
            "        )",
            "        self.cells = nn.Sequential(",
            *(row.removeprefix("    ") for row in rows),
            "        )",
            f"        self.norm = nn.BatchNorm2d({4 * channels})",
            f"        self.classifier = nn.Linear({4 * channels}, {classes})",
            "",
            definition("forward", ["self", "images: Tensor"], "Tensor"),
            "        maps = self.norm(self.cells(self.stem(images))).relu()",
            "        return self.classifier(maps.mean((2, 3)))",
            "",
        ]
    )
