"""What a computation costs, in numbers that do not depend on the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode


class Cost(NamedTuple):
    """Dispatched `operations`, and the most bytes that were `saved` for a backward pass at one time."""

    operations: int
    saved: int


def cost(run: Callable[[], Any]) -> Cost:
    """The cost of one call of `run`, its backward passes included.

    Args:
        run: the computation.
    """
    operations, saved = Operations(), SavedBytes()
    # In one thread: a backward pass on a GPU otherwise runs in another, which is not seen.
    with (
        torch.autograd.set_multithreading_enabled(False),
        operations,
        saved_tensors_hooks(saved.pack, saved.unpack),
    ):
        run()
    return Cost(operations.count, saved.most)


def is_view(operation: Any) -> bool:
    """Whether an operation only returns another view of its input: it touches no data.

    By its schema, a returned value is an alias of an input that the operation does not write to.
    `_unsafe_view` and `set_`, which points a tensor at another storage, are too, though their schemas hide it.
    """
    if operation.name().partition(".")[0] in ("aten::_unsafe_view", "aten::set_"):
        return True
    return any(value.alias_info is not None and not value.alias_info.is_write for value in operation._schema.returns)


class Operations(TorchDispatchMode):
    """Counts the operations that reach a kernel while it is active; views are not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not is_view(func)
        return func(*args, **(kwargs or {}))


class SavedBytes:
    """Follows the storages that are saved for a backward pass; one saved twice counts once."""

    def __init__(self) -> None:
        self.most = 0
        self._bytes = 0
        self._holders: Counter[int] = Counter()

    def pack(self, tensor: Tensor) -> _Held:
        """Called when autograd saves a tensor."""
        return _Held(self, tensor.detach())  # the tensor itself would keep its own graph alive

    def unpack(self, held: _Held) -> Tensor:
        """Called when a backward pass reads it."""
        return held.tensor

    def take(self, storage: torch.UntypedStorage) -> None:
        """One more holds the storage."""
        self._holders[storage.data_ptr()] += 1
        if self._holders[storage.data_ptr()] == 1:
            self._bytes += storage.nbytes()
            self.most = max(self.most, self._bytes)

    def release(self, storage: torch.UntypedStorage) -> None:
        """One fewer holds it."""
        self._holders[storage.data_ptr()] -= 1
        if self._holders[storage.data_ptr()] == 0:
            self._bytes -= storage.nbytes()


class _Held:
    """A saved tensor, which lives as long as the graph keeps it."""

    def __init__(self, owner: SavedBytes, tensor: Tensor) -> None:
        self.owner, self.tensor = owner, tensor
        owner.take(tensor.untyped_storage())

    def __del__(self) -> None:
        self.owner.release(self.tensor.untyped_storage())
