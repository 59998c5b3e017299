"""Parts of a network that run as code which torch.compile makes (`hardware.compile`), while it is trained.

A part is a function of a module and tensors. The first pass of every kind of part compiles it: for the sizes of its
module, the shapes of the tensors, and which of them need a gradient. Parts of equal sizes share the code. Names in a
state dict do not change, since the modules stay as they are. What is not training (a validation, a score, a test)
runs as it is, and so does a pass that leaves out candidates, of which every other choice would be compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, wraps
from types import FunctionType
from typing import Any

import torch
from torch import nn

#: What compiles; the tests also take one that needs no C++ compiler.
BACKEND = "inductor"
#: Most forms of parts of one structure; beyond torch's 8 it would go on without compiling, with a warning.
FORMS = 64


class Compilable(nn.Module):
    """A module one function of which may be compiled.

    Attributes:
        compiled: whether it is, while the module is trained; see `use_compiled`.
    """

    compiled = False

    @cached_property
    def structure(self) -> str:
        """The same for modules of the same layers and sizes, which share compiled code."""
        return repr(self)

    def runs_compiled(self) -> bool:
        """Whether the pass that runs now is a compiled one."""
        return self.compiled and self.training and torch.is_grad_enabled()


def compilable(network: nn.Module) -> list[Compilable]:
    """The modules of a network of which a function may be compiled."""
    return [module for module in network.modules() if isinstance(module, Compilable)]


def use_compiled(network: nn.Module, compiled: bool) -> int:
    """Have the parts of a network run compiled from now on, or as they are; returns how many there are."""
    parts = compilable(network)
    for part in parts:
        part.compiled = compiled
    return len(parts)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a function of a module and tensors as code that torch.compile makes at the first call of each form."""
    made: dict[tuple[str, str], Callable[..., Any]] = {}

    @wraps(function)
    def run(part: Compilable, *arguments: Any) -> Any:
        key = (BACKEND, part.structure)
        if key not in made:
            options: dict[str, Any] | None = (
                {"fallback_random": True} if BACKEND == "inductor" else None
            )  # draws what the module itself does
            made[key] = torch.compile(_copy(function, len(made)), dynamic=False, backend=BACKEND, options=options)
        with _many_forms():
            return made[key](part, *arguments)

    return run


def _copy(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The function with code of its own, by which torch keeps what it compiled: parts of other structure do not mix."""
    assert isinstance(function, FunctionType)
    code = function.__code__.replace(co_name=f"{function.__name__}_{number}")
    return FunctionType(code, function.__globals__, code.co_name, function.__defaults__, function.__closure__)


@contextmanager
def _many_forms() -> Iterator[None]:
    """Within it torch compiles up to `FORMS` forms of a function."""
    with torch._dynamo.config.patch(recompile_limit=FORMS, accumulated_recompile_limit=FORMS):
        yield
