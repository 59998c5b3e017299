"""The final network of NAS-Bench-201 (Dong and Yang, ICLR 2020, section 2.1 and figure 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import NONE, BatchNorm, ReLUConvBN, build
from darts_pl.spaces.compiled import Compilable, compiled
from darts_pl.spaces.image_network import ImageNetwork
from darts_pl.spaces.nasbench201.cell import NODES, OPERATIONS, check_cell, edges


class ResidualBlock(nn.Module):
    """Halves the map: two ReLU-convolution-BatchNorm layers beside an average pooling with a 1x1 convolution.

    Args:
        in_channels: of the input.
        out_channels: of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(in_channels, out_channels, affine=True, kernel=3, stride=2)
        self.conv_b = ReLUConvBN(out_channels, out_channels, affine=True, kernel=3)
        self.downsample = nn.Sequential(
            # A map of odd size is rounded up, as the convolution with stride 2 does.
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, out_channels, ceil(H / 2), ceil(W / 2)]."""
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class FinalCell(Compilable):
    """A cell with one operation per edge, of which "none" contributes nothing.

    Args:
        cell: for every edge the index of its operation.
        channels: of every node.
        nodes: of the cell, the input among them.
    """

    def __init__(self, cell: Sequence[int], channels: int, nodes: int = NODES) -> None:
        super().__init__()
        self.nodes = nodes
        names = [OPERATIONS[index] for index in cell]
        #: by target, the numbers and sources of the edges that are computed
        self.entering: dict[int, list[tuple[int, int]]] = {target: [] for target in range(1, nodes)}
        for number, ((source, target), name) in enumerate(zip(edges(nodes), names, strict=True)):
            if name != NONE:
                self.entering[target].append((number, source))
        self.layers = nn.ModuleDict(
            {str(number): build(name, channels, 1) for number, name in enumerate(names) if name != NONE}
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the output node, of the same shape; zero where nothing reaches it."""
        return _compiled_cell(self, x) if self.runs_compiled() else self.last_node(x)

    def last_node(self, x: Tensor) -> Tensor:
        """What `forward` gives."""
        states = [x]
        for target in range(1, self.nodes):
            parts = [self.layers[str(number)](states[source]) for number, source in self.entering[target]]
            states.append(sum(parts[1:], parts[0]) if parts else x.new_zeros(x.shape))
        return states[-1]


@compiled
def _compiled_cell(cell: FinalCell, x: Tensor) -> Tensor:
    """`FinalCell.last_node`."""
    return cell.last_node(x)


def body(channels: int, cells: int, cell: Callable[[int], nn.Module]) -> nn.ModuleList:
    """The three stages of cells with the residual blocks between them; the supernet has the same.

    Args:
        channels: of the first stage; every residual block doubles them.
        cells: N, of each stage.
        cell: makes a cell of a given width.
    """
    layers: list[nn.Module] = []
    for stage in range(3):
        if stage:
            layers.append(ResidualBlock(channels, 2 * channels))
            channels *= 2
        layers += [cell(channels) for _ in range(cells)]
    return nn.ModuleList(layers)


class NasBench201Network(ImageNetwork):
    """The image classifier that a cell builds: stem, three stages of cells, pooling, linear head.

    Modules have the names of the published code, so that its checkpoints load by name.

    Args:
        cell: for every edge the index of its operation in `OPERATIONS`.
        channels: C, the width of the first stage (16 in the benchmark).
        cells: N, cells per stage (5 in the benchmark).
        classes: number of classes.
        in_channels: channels of the images.
        nodes: of a cell, its input among them (4 in the benchmark).

    Raises:
        UserError: if an operation does not exist, their number does not fit the nodes, or a size is below 1.
    """

    def __init__(
        self,
        cell: Sequence[int],
        *,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int = 3,
        nodes: int = NODES,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("cells", cells), ("classes", classes)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        check_cell(cell, nodes)
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), BatchNorm(channels, affine=True)
        )
        self.cells = body(channels, cells, lambda width: FinalCell(cell, width, nodes))
        self.lastact = nn.Sequential(BatchNorm(4 * channels, affine=True), nn.ReLU())
        self.classifier = nn.Linear(4 * channels, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the linear head reads, [B, 4 * channels].

        Args:
            x: images [B, in_channels, H, W].
        """
        x = self.stem(x)
        for layer in self.cells:
            x = layer(x)
        return self.lastact(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes].

        Args:
            x: images [B, in_channels, H, W].
        """
        return self.classifier(self.features(x))
