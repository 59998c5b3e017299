"""Finding the state dict in a checkpoint, and removing what wrappers and profilers left in its names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.interop.loading import list_names

_log = logging.getLogger(__name__)

#: Where training programs keep the state dict in what they save, the first that is found is taken.
KEYS = ("state_dict", "model_state_dict", "model", "ema", "network")
_RARE_KEYS = (
    "net",
    "module",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "weights",
    "params",
    "checkpoint",
    "shadow",
)

#: What wrappers put before every name (DataParallel, torch.compile, modules that hold the network).
_PREFIXES = re.compile(r"^(?:(?:module|_orig_mod|model|net|network|ema)\.)+")
#: What wrappers of inner modules put between (torch.compile, FSDP, activation checkpointing).
_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
#: Counters of profilers (thop) and of torch's AveragedModel; no network has them.
_COUNTERS = re.compile(r"(?:^|\.)(?:total_ops|total_params|n_averaged)$")
#: Architecture parameters, by the names that search programs give them.
_ALPHAS = re.compile(
    r"(?:^|\.)_?(?:log_)?(?:alphas?|betas?|arch(?:itecture)?(?:_(?:parameters?|params?|weights?))?)(?:[._]|$)"
    r"|^(?:rnns\.\d+\.)?weights$"
)
#: Everything from an operation on is the operation's own business.
_OPERATION = re.compile(r"\.(?:_ops|operations|mixed)\.")
#: First parts of the names of our and the authors' networks.
_ROOTS = frozenset(
    ("stem", "stem0", "stem1", "cells", "auxiliary_head", "classifier", "encoder", "decoder", "rnns", "words", "cell")
)


def unwrap(tensors: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The tensors of the state dict in a checkpoint, under the network's own names.

    The state dict may lie under `KEYS`, also nested. The prefixes of wrappers are removed; counters of
    profilers and architecture parameters are left out.

    Args:
        tensors: a checkpoint or a state dict.

    Raises:
        UserError: if there is no state dict, it holds two networks, or a tensor in it holds no plain numbers, or
            NaN or infinite ones.
    """
    state = _find_state_dict(tensors)
    names = {key: _WRAPPERS.sub("", str(key)) for key in state}
    names = {key: name for key, name in names.items() if not _COUNTERS.search(name)}
    shared = ""
    while True:
        names = {key: _PREFIXES.sub("", name) for key, name in names.items()}
        shared = _shared_prefix(list(names.values()))
        if not shared:
            break
        names = {key: name.removeprefix(shared) for key, name in names.items()}
    result: dict[str, Tensor] = {}
    for key, name in names.items():
        outside = _OPERATION.split(name, maxsplit=1)[0]
        name = re.sub(r"(?<=\.)module\.", "", outside + ".").removesuffix(".") + name[len(outside) :]
        if _ALPHAS.search(outside):
            continue
        value = state[key]
        _refuse_unusable(name, value)
        if name in result and not torch.equal(result[name], value):
            raise UserError(
                f"the checkpoint holds two networks: {name!r} twice, with different values; save the state dict of one"
            )
        result[name] = value
    return result


def _find_state_dict(found: Mapping[str, Any]) -> Mapping[str, Tensor]:
    candidates = list(_state_dicts(found, "", set()))
    if not candidates:
        raise UserError(
            f"the checkpoint holds no state dict, but {list_names(map(str, found)) or 'nothing'}; "
            f"expected tensors by name, or a state dict under one of the keys {', '.join(KEYS)}"
        )
    (place, state), *others = candidates
    if others:
        unused = ", ".join(other for other, _ in others)
        _log.warning("the checkpoint holds several state dicts: %s is used, not %s", place, unused)
    return state


def _state_dicts(found: Mapping[str, Any], place: str, seen: set[int]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """The state dicts in a checkpoint with their places, in the order of `KEYS`."""
    if id(found) in seen:  # a dict can hold itself
        return
    seen.add(id(found))
    inside = 0
    for key in KEYS + _RARE_KEYS:
        value = found.get(key)
        if isinstance(value, Mapping):
            for candidate in _state_dicts(value, f"{place}.{key}".lstrip("."), seen):
                inside += 1
                yield candidate
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    if tensors and not inside:
        yield place or "the top", tensors


def _shared_prefix(names: list[str]) -> str:
    """The first part of all names, with its dot, if it cannot be a part of a network; else ""."""
    parts = [name.split(".", 2) for name in names]
    if not parts or any(len(part) < 2 for part in parts) or len({part[0] for part in parts}) > 1:
        return ""
    first = parts[0][0]
    if first in _ROOTS and not all(part[1] in _ROOTS for part in parts):
        return ""
    return f"{first}."


def _refuse_unusable(name: str, value: Tensor) -> None:
    if value.is_nested or value.layout != torch.strided or value.is_meta or value.is_quantized:
        kind = "nested" if value.is_nested else "without values" if value.is_meta else "sparse or quantized"
        raise UserError(f"the checkpoint's tensor {list_names([name])} is {kind}; save it as a dense tensor")
    if not _repeats(value) and not (value.float() if value.element_size() == 1 else value).isfinite().all():
        raise UserError(
            f"the checkpoint's tensor {list_names([name])} holds NaN or infinite values: its training diverged; give "
            "an earlier checkpoint"
        )


def _repeats(value: Tensor) -> bool:
    """Whether a tensor claims more values than the file holds."""
    return value.numel() * value.element_size() > value.untyped_storage().nbytes()


def refuse_repeated(tensors: Mapping[str, Tensor]) -> None:
    """Raise UserError if a tensor claims more values than the file holds: a network of its size is not built."""
    for name, value in tensors.items():
        if _repeats(value):
            raise UserError(f"the checkpoint's tensor {list_names([name])} repeats its values; save it in full")
