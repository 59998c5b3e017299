"""The final network of a genotype as a row of stages, each with its output, parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from darts_pl.config.convert import convert
from darts_pl.genotype import Genotype
from darts_pl.report.page.blocks import Stage
from darts_pl.spaces import NETWORKS, build, count_parameters, counting_multiply_adds, space_of

#: What a page calls a part whose name in the network says little.
TITLES = {"lastact": "last normalization"}
#: Words of a sequence that a language model reads here.
WORDS = 2


def network_of(genotype: Genotype, train: Mapping[str, Any], facts: Mapping[str, Any]) -> nn.Module:
    """The network that a training would build, without memory for its weights.

    Args:
        genotype: of a space with a final network.
        train: the section of that name of the configuration.
        facts: sizes that the data determine, such as "classes".

    Raises:
        UserError, KeyError: if these build no network.
    """
    values = {key: value for key, value in train.items() if key != "network"}
    settings = convert(NETWORKS.settings(str(train["network"])), values, "train")
    with torch.device("meta"):
        network: nn.Module = build(genotype, **space_of(genotype.kind).network_sizes(settings, facts))
    return network


def facts_of(data: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a data set determines, from `data.json` and the configuration."""
    if data.get("kind") == "text":
        return {"vocabulary": int(data["words"])}
    side = (config.get("data") or {}).get("size") or 0
    classes = data["classes"]
    return {
        "classes": len(classes) if isinstance(classes, list) else int(classes),
        "channels": int(data["channels"]),
        "height": int(data.get("height") or side),
        "width": int(data.get("width") or side),
    }


def network_stages(network: nn.Module, facts: Mapping[str, int]) -> list[Stage]:
    """The stages in the order in which they compute.

    Args:
        network: on the device "meta".
        facts: see `facts_of`.
    """
    stages = dict(_top_level(network))
    outputs: dict[str, tuple[Any, int]] = {}
    with counting_multiply_adds() as count:
        handles = [one for name, module in stages.items() for one in _noting(outputs, name, module, count)]
        try:
            network.eval()(*_inputs(facts))
        finally:
            for handle in handles:
                handle.remove()
    found: list[Stage] = []
    side = None
    for name, (output, multiply_adds) in outputs.items():
        module, tensor = stages[name], _tensor(output)
        smaller = side is not None and tensor.ndim == 4 and tensor.shape[-1] < side
        side = tensor.shape[-1] if tensor.ndim == 4 else side
        kind = ("reduction" if smaller else "normal") if name.startswith("cells.") else ""
        shape = "\N{MULTIPLICATION SIGN}".join(map(str, tensor.shape[1:]))
        counted = None if "vocabulary" in facts else multiply_adds
        found.append(Stage(_title(name), kind, shape, count_parameters(module), counted))
    return found


def _top_level(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The children of a network, those of lists one by one; an auxiliary tower computes in training only."""
    for name, child in network.named_children():
        if name == "auxiliary_head":
            continue
        if isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{index}", one) for index, one in enumerate(child))
        else:
            yield name, child


def _noting(
    outputs: dict[str, tuple[Any, int]], name: str, module: nn.Module, count: Callable[[], int]
) -> Iterator[RemovableHandle]:
    """Hooks that keep a module's first output, and the multiply-adds of all its passes."""
    before: list[int] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        first, earlier = outputs.get(name, (output, 0))
        outputs[name] = (first, earlier + count() - before.pop())

    yield module.register_forward_pre_hook(lambda module, inputs: before.append(count()))
    yield module.register_forward_hook(note)


def _inputs(facts: Mapping[str, int]) -> list[Tensor]:
    if "vocabulary" in facts:
        return [torch.zeros(WORDS, 1, dtype=torch.long, device="meta")]
    return [torch.empty(1, facts["channels"], facts["height"], facts["width"], device="meta")]


def _title(name: str) -> str:
    head, _, number = name.partition(".")
    return f"{head.removesuffix('s')} {int(number) + 1}" if number else TITLES.get(head, head)


def _tensor(output: Any) -> Tensor:
    """The last tensor of what a module returns."""
    while isinstance(output, (tuple, list)):
        output = output[-1]
    assert isinstance(output, Tensor)
    return output
