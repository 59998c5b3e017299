"""The text of modules and functions that are copied into the file of a network."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CONV_NORM = '''\
class ReLUConvNorm(nn.Sequential):
    """ReLU, convolution, batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1):
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )
'''

_FACTORIZED = '''\
class FactorizedReduce(nn.Module):
    """Halves a map: two 1x1 convolutions, of the even and of the odd pixels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = nn.functional.pad(x.relu(), (0, width % 2, 0, height % 2))
        halves = [self.even(x[:, :, ::2, ::2]), self.odd(x[:, :, 1::2, 1::2])]
        return self.norm(torch.cat(halves, dim=1))
'''

_SEPARABLE = '''\
class SepConv(nn.Sequential):
    """A depthwise separable convolution, applied twice."""

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1):
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride,
                padding,
                dilation,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                1,
                padding,
                dilation,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
'''

_DILATED = '''\
class DilConv(nn.Sequential):
    """A depthwise separable convolution with dilation 2."""

    def __init__(self, channels: int, kernel: int, stride: int = 1):
        padding = 2 * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride,
                padding,
                dilation=2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
'''

_TWO_STEP = '''\
class TwoStepConv(nn.Sequential):
    """A convolution along the rows, then one along the columns."""

    def __init__(self, channels: int, kernel: int, stride: int = 1):
        half = kernel // 2
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels, channels, (1, kernel), (1, stride), (0, half), bias=False
            ),
            nn.Conv2d(
                channels, channels, (kernel, 1), (stride, 1), (half, 0), bias=False
            ),
            nn.BatchNorm2d(channels),
        )
'''

_SMALL_POOL = '''\
class SmallMaxPool(nn.Module):
    """The maximum over 2x2 pixels, padded to the right and below."""

    def __init__(self, stride: int = 1):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        right, below = (1, 1) if self.stride == 1 else (width % 2, height % 2)
        x = nn.functional.pad(x, (0, right, 0, below), value=-torch.inf)
        return nn.functional.max_pool2d(x, 2, self.stride)
'''

_RESIDUAL = '''\
class ResidualBlock(nn.Module):
    """Halves the map and doubles the channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = ReLUConvNorm(inputs, outputs, kernel=3, stride=2)
        self.second = ReLUConvNorm(outputs, outputs, kernel=3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.second(self.first(x))
'''

_GATED = '''\
def gated(
    node: Tensor, matrix: Tensor, activation: Callable[[Tensor], Tensor]
) -> Tensor:
    """A node that reads another one: a mixture of it and of its activation."""
    gate, candidate = (node @ matrix).chunk(2, dim=1)
    return torch.lerp(node, activation(candidate), gate.sigmoid())
'''

_IDENTITY = '''\
def identity(x: Tensor) -> Tensor:
    """x itself."""
    return x
'''

#: By name, in the order in which they are written.
BLOCKS: Mapping[str, str] = MappingProxyType(
    {
        "ReLUConvNorm": _CONV_NORM,
        "FactorizedReduce": _FACTORIZED,
        "SepConv": _SEPARABLE,
        "DilConv": _DILATED,
        "TwoStepConv": _TWO_STEP,
        "SmallMaxPool": _SMALL_POOL,
        "ResidualBlock": _RESIDUAL,
        "gated": _GATED,
        "identity": _IDENTITY,
    }
)
