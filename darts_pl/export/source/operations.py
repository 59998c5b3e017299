"""How each built-in operation is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from darts_pl.errors import UserError
from darts_pl.genotype import NONE
from darts_pl.ops.registry import CANDIDATES


@dataclass(frozen=True)
class Written:
    """One operation of a cell as code.

    Args:
        module: what makes the module, such as ``SepConv(channels, 3)``; "" where it needs none.
        block: the class in `BLOCKS` that this calls; "" = one of torch.
        value: from the name of what it reads to the expression of an operation without a module.
        renamed: from the first part of our names of its tensors to those of the module.
    """

    module: str = ""
    block: str = ""
    value: Callable[[str], str] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    def reads(self, node: str, attribute: str) -> str:
        """The expression of its output.

        Args:
            node: the name of what it reads.
            attribute: that holds its module.
        """
        return self.value(node) if self.value is not None else f"self.{attribute}({node})"


#: Our names of the tensors of most operations begin with "op.", those of a sequence with a number.
_IN_SEQUENCE = MappingProxyType({"op.": ""})
#: Of `FactorizedReduce`.
HALVES = MappingProxyType({"conv_1.": "even.", "conv_2.": "odd.", "bn.": "norm."})


def _step(stride: int) -> str:
    return f", stride={stride}" if stride > 1 else ""


def _block(name: str, arguments: str) -> Callable[[int], Written]:
    return lambda stride: Written(f"{name}({arguments}{_step(stride)})", name, renamed=_IN_SEQUENCE)


def _pool(name: str, others: str = "") -> Callable[[int], Written]:
    return lambda stride: Written(f"nn.{name}(3, stride={stride}, padding=1{others})")


def _skip(stride: int) -> Written:
    if stride == 1:
        return Written(value=lambda node: node)
    return Written("FactorizedReduce(channels, channels)", "FactorizedReduce", renamed=HALVES)


def _none(stride: int) -> Written:
    every = "" if stride == 1 else f"[:, :, ::{stride}, ::{stride}]"
    return Written(value=lambda node: f"torch.zeros_like({node}{every})")


_AVERAGE = _pool("AvgPool2d", ", count_include_pad=False")
_BY_NAME: Mapping[str, Callable[[int], Written]] = MappingProxyType(
    {
        "max_pool_3x3": _pool("MaxPool2d"),
        "avg_pool_3x3": _AVERAGE,
        "avg_pool_3x3_plain": _AVERAGE,
        "max_pool_2x2": lambda stride: Written(f"SmallMaxPool({stride})", "SmallMaxPool"),
        "skip_connect": _skip,
        NONE: _none,
        **{f"sep_conv_{k}x{k}": _block("SepConv", f"channels, {k}") for k in (3, 5, 7)},
        **{f"dil_conv_{k}x{k}": _block("DilConv", f"channels, {k}") for k in (3, 5)},
        "dil_sep_conv_5x5": lambda stride: Written(
            f"SepConv(channels, 5{_step(stride)}, dilation=2)", "SepConv", renamed=_IN_SEQUENCE
        ),
        "conv_7x1_1x7": _block("TwoStepConv", "channels, 7"),
        "conv_3x1_1x3": _block("TwoStepConv", "channels, 3"),
        **{f"{name}_1x1": _block("ReLUConvNorm", "channels, channels") for name in ("conv", "nor_conv")},
        **{f"{name}_3x3": _block("ReLUConvNorm", "channels, channels, kernel=3") for name in ("conv", "nor_conv")},
    }
)


def write_operation(name: str, stride: int) -> Written:
    """An operation of a final network as code.

    Raises:
        UserError: if it is not one of this package that the file could write out.
    """
    if name not in _BY_NAME or (name != NONE and not CANDIDATES.get(name).is_ours):
        raise UserError(f"format=source: the operation {name!r} is not written out as source; use format=pt2")
    return _BY_NAME[name](stride)
