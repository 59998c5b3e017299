"""What a candidate operation is: one module for K parallel edges that read the same node.

Maps of K edges lie side by side in the channel dimension, edge by edge: [B, K*C, H, W], in
channels-last memory. With K = 1 this is the ordinary operation of a final network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.ops.every_second import every_second


class NodeOutput:
    """The output of one node, in each form its candidates read it, computed at most once.

    Args:
        raw: [B, C, H, W].
    """

    def __init__(self, raw: Tensor) -> None:
        self.raw = raw
        self._rectified: Tensor | None = None
        self._every_second: NodeOutput | None = None
        self._repeated: dict[int, Tensor] = {}

    @property
    def rectified(self) -> Tensor:
        """ReLU of the output, [B, C, H, W]."""
        if self._rectified is None:
            self._rectified = torch.relu(self.raw)
        return self._rectified

    @property
    def every_second(self) -> NodeOutput:
        """Its first, third, fifth row and so on, and of them every second pixel, [B, C, ceil(H / 2), ceil(W / 2)]."""
        if self._every_second is None:
            self._every_second = NodeOutput(every_second(self.raw))
        return self._every_second

    def repeated(self, edges: int) -> Tensor:
        """The rectified output once for each of `edges` edges, [B, edges*C, H, W]."""
        if edges == 1:
            return self.rectified
        if edges not in self._repeated:
            pixels = self.rectified.permute(0, 2, 3, 1).unsqueeze(3)
            # With one channel flattening copies nothing, hence `contiguous`.
            copies = pixels.expand(-1, -1, -1, edges, -1).flatten(3).contiguous()
            self._repeated[edges] = copies.permute(0, 3, 1, 2)
        return self._repeated[edges]


class EdgeOperation(nn.Module, ABC):
    """A candidate on K parallel edges that leave one node.

    Subclasses implement `on_edges`. An operation without weights of its own may set
    ``shared = True``: it then returns one map [B, C, H', W'] that serves all K edges and gets no
    `scale` (the caller mixes it).

    Args:
        edges: K, the number of edges.
    """

    def __init__(self, edges: int = 1) -> None:
        super().__init__()
        self.edges = edges

    @property
    def shared(self) -> bool:
        """Whether one map serves all edges."""
        return False

    @abstractmethod
    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        """The maps of the K edges, [B, K*C, H', W'].

        Args:
            node: the output of the node that the edges leave.
            scale: [K*C], the mixing weight of each edge repeated over its channels; None = 1.
        """

    def forward(self, x: Tensor, node: NodeOutput | None = None) -> Tensor:
        """The operation applied to x [B, C, H, W]; with K = 1 that of a final network.

        Args:
            x: output of a node.
            node: the same output with what others that read it have computed already; None = nothing.
        """
        return self.on_edges(NodeOutput(x) if node is None else node)


class EdgeByEdge(EdgeOperation):
    """Runs one ordinary module per edge: how a candidate without a K-edge form takes part.

    Args:
        modules: K modules, each [B, C, H, W] -> [B, C, H', W'].
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__(edges=len(modules))
        self.each = nn.ModuleList(modules)

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        maps = torch.cat([module(node.raw) for module in self.each], dim=1)
        return maps if scale is None else maps * scale.view(1, -1, 1, 1)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose scale may carry the mixing weights of a search.

    Args:
        channels: all channels, K*C for K edges.
        affine: whether it learns scale and shift (final networks do, a search does not; paper
            section 3.1.1). Without them it does not count batches either: nothing reads the count.
    """

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__(channels, affine=affine)
        if not affine:
            self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        if not self.affine:
            # A plain dict names no version, and torch would add to it the batch count that we do not keep.
            local_metadata = {**local_metadata, "version": 2}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, input: Tensor, scale: Tensor | None = None) -> Tensor:
        """Normalised input, times `scale` [channels] if given."""
        if self.affine:
            normalised = super().forward(input)
            return normalised if scale is None else normalised * scale.view(1, -1, 1, 1)
        if scale is not None:
            # A stride-0 scale (one expanded edge) is misread by the CPU backward pass of native_batch_norm.
            scale = scale.contiguous()
        of_batch = self.training or self.running_mean is None
        settings = of_batch, self.momentum or 0.0, self.eps
        several = input.numel() > input.shape[1]  # one value has no variance, which `batch_norm` refuses
        if input.device.type == "cpu" and several:  # what `batch_norm` calls there after a call that others need
            return torch.native_batch_norm(input, scale, None, self.running_mean, self.running_var, *settings)[0]
        return nn.functional.batch_norm(input, self.running_mean, self.running_var, scale, None, *settings)
