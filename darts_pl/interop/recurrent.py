"""Language models and recurrent search networks: the authors' names and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.interop.loading import list_names
from darts_pl.interop.state_dict import refuse_repeated, unwrap

_TO_AUTHORS = (
    (r"^network\.", ""),
    (r"^words\.weight$", "encoder.weight"),
    (r"^words\.bias$", "decoder.bias"),
    (r"^cell\.first$", "rnns.0._W0"),
    (r"^cell\.nodes\.", "rnns.0._Ws."),
    (r"^cell\.norm\.", "rnns.0.bn."),
)
_ENCODER, _DECODER = "encoder.weight", "decoder.weight"


def _authors_name(key: str) -> str:
    for pattern, name in _TO_AUTHORS:
        key = re.sub(pattern, name, key)
    return key


def export_recurrent(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a language model or a recurrent supernet -> the same under the authors' names, without alphas."""
    result = {_authors_name(key): value for key, value in tensors.items() if not key.startswith("arch.")}
    if _ENCODER in result:
        result[_DECODER] = result[_ENCODER]
    return result


def import_recurrent(module: nn.Module, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of a language model or a recurrent supernet under the authors' names (or ours) -> the same under ours.

    Args:
        module: the `LanguageModel` or `RnnSupernet` whose names are meant.
        tensors: the state dict, also as part of a checkpoint and wrapped as `unwrap` says. Encoder and decoder
            are one matrix, of which one name may be absent, as in files of safetensors' `save_model`.

    Raises:
        UserError: if there is no state dict, or encoder and decoder differ.
    """
    state = _tied(unwrap(tensors))
    ours = {_authors_name(key): key for key in module.state_dict() if not key.startswith("arch.")}
    own = {key.removeprefix("network."): key for key in ours.values()}
    return {ours.get(key) or own.get(key, key): value for key, value in state.items()}


def _tied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the matrix of encoder and decoder under the encoder's name alone."""
    if _DECODER not in state:
        return dict(state)
    if _ENCODER in state and not torch.equal(state[_ENCODER], state[_DECODER]):
        raise UserError(f"the checkpoint's {_ENCODER} and {_DECODER} differ, but our networks share one matrix")
    rest = {key: value for key, value in state.items() if key != _DECODER}
    return {_ENCODER: state[_DECODER]} | rest


def language_model_sizes(tensors: Mapping[str, Any]) -> dict[str, int]:
    """The arguments of the `LanguageModel` that a state dict belongs to, but for its genotype.

    Args:
        tensors: as for `import_recurrent`, under the authors' names or ours.

    Raises:
        UserError: if it is not that of a language model.
    """
    state = _tied(unwrap(tensors))
    for name in ("words.weight", _ENCODER):
        if name in state and state[name].dim() == 2 and state[name].numel():
            refuse_repeated(state)
            vocabulary, units = state[name].shape
            return {"vocabulary": vocabulary, "units": units}
    raise UserError(
        f"the checkpoint is of no language model: {_ENCODER!r} of shape [words, units] is missing; found "
        f"{list_names(state) or 'no tensors'}"
    )
