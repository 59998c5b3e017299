"""What a type cannot say: ranges, and combinations that cannot work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from darts_pl.config.schema import Config
from darts_pl.errors import UserError

Rule = tuple[Callable[[Any], bool], str]

_COUNT: Rule = (lambda value: value >= 1, "at least 1")
_POSITIVE: Rule = (lambda value: value > 0, "above 0")
_NOT_NEGATIVE: Rule = (lambda value: value >= 0, "0 or more")
_SHARE: Rule = (lambda value: 0 <= value < 1, "0 or more, below 1")
_CLIP: Rule = (lambda value: value is None or value > 0, "above 0, or null for none")
_BETAS: Rule = (
    lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value),
    "two numbers of 0 or more, below 1",
)

_CHANNELS: Rule = (
    lambda value: value is None or (len(value) >= 1 and all(number > 0 for number in value)),
    "one number above 0 for each channel",
)


def _one_of(*values: str) -> Rule:
    return (lambda value: value in values), f"one of {', '.join(values)}"


#: Dotted key -> (what must hold, how to say it). A key that a variant lacks is passed over.
RULES: Mapping[str, Rule] = {
    "seed": (lambda value: 0 <= value < 2**32, "0 to 4294967295"),
    "resume": (lambda value: isinstance(value, (bool, str)) and value != "", "true, false, or the folder of a run"),
    "runs": (
        lambda value: (
            value is None
            or isinstance(value, str)
            or (isinstance(value, list) and all(isinstance(one, str) for one in value))
        ),
        "a folder, or several as [A,B]",
    ),
    "save_every": (lambda value: value is None or value >= 1, "at least 1, or null for epochs' ends only"),
    "search.layers": (lambda value: value >= 3, "at least 3: with fewer, no cell is a normal one"),
    "search.init_channels": (
        lambda value: value >= 2,
        "at least 2: a map is halved by two convolutions, each with half of the channels",
    ),
    "search.epochs": _COUNT,
    "search.batch_size": _COUNT,
    "search.nodes": _COUNT,
    "search.stem": _one_of("cifar", "imagenet"),
    "search.train_portion": (lambda value: 0 < value < 1, "between 0 and 1"),
    "search.weights.lr": _POSITIVE,
    "search.weights.lr_min": _NOT_NEGATIVE,
    "search.weights.momentum": _SHARE,
    "search.weights.weight_decay": _NOT_NEGATIVE,
    "search.weights.grad_clip": _CLIP,
    "search.alphas.lr": _POSITIVE,
    "search.alphas.weight_decay": _NOT_NEGATIVE,
    "search.alphas.betas": _BETAS,
    "order.radius": _POSITIVE,
    "logger.wandb.mode": (
        lambda value: value in (None, "online", "offline", "disabled"),
        "online, offline, disabled, or null",
    ),
    "logger.wandb.timeout": _POSITIVE,
    "logger.mlflow.timeout": _POSITIVE,
    "logger.comet.timeout": _POSITIVE,
    "logger.every_n_steps": _COUNT,
    "hardware.strategy": _one_of("auto", "ddp"),
    "hardware.nodes": (
        lambda value: value is None or value >= 1,
        "at least 1, or null for what SLURM or torchrun says",
    ),
    "hardware.threads": (lambda value: value is None or value >= 1, "at least 1, or null for one per core"),
    "train.layers": _COUNT,
    "train.init_channels": _COUNT,
    "train.epochs": _COUNT,
    "train.batch_size": _COUNT,
    "train.lr": _POSITIVE,
    "train.lr_min": _NOT_NEGATIVE,
    "train.momentum": _SHARE,
    "train.weight_decay": _NOT_NEGATIVE,
    "train.grad_clip": _CLIP,
    "train.cutout": _NOT_NEGATIVE,
    "train.drop_path": _SHARE,
    "train.auxiliary_weight": _NOT_NEGATIVE,
    "train.stem": _one_of("cifar", "imagenet"),
    "train.schedule": _one_of("cosine", "exponential"),
    "train.lr_decay": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "train.warmup_epochs": _NOT_NEGATIVE,
    "train.label_smoothing": _SHARE,
    "train.accumulate": _COUNT,
    "train.ema": (lambda value: value is None or 0 < value < 1, "between 0 and 1, or null for none"),
    "data.batch_size": (lambda value: value is None or value >= 1, "at least 1"),
    "data.eval_batch_size": _COUNT,
    "data.crop_padding": _NOT_NEGATIVE,
    "data.share": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "data.size": (lambda value: value >= 8, "at least 8"),
    "data.crop_scale": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "data.color_jitter": (
        lambda value: len(value) == 4 and all(0 <= number <= 1 for number in value) and value[3] <= 0.5,
        "four numbers: brightness, contrast, saturation (0 to 1) and hue (0 to 0.5)",
    ),
    "data.std": _CHANNELS,
    "data.workers": (lambda value: value is None or value >= 0, "0 or more, or null for as many as there are cores"),
    "format": _one_of("onnx", "pt2"),
    # Recurrent cells and text.
    **{
        f"{section}.{key}": rule
        for section in ("search", "train")
        for key, rule in {
            "units": _COUNT,
            "bptt": _COUNT,
            **dict.fromkeys(("dropout", "dropouth", "dropoutx", "dropouti", "dropoute"), _SHARE),
            "short_probability": (lambda value: 0 <= value <= 1, "0 to 1"),
            "slowness": _NOT_NEGATIVE,
        }.items()
    },
    "train.length_spread": _NOT_NEGATIVE,
    "train.length_least": _COUNT,
    "train.length_over": _NOT_NEGATIVE,
    "train.activation": _NOT_NEGATIVE,
    "train.nonmono": _COUNT,
    "train.rollbacks": _NOT_NEGATIVE,
    "data.test_batch_size": _COUNT,
}


#: What a search may run in; bfloat16 in first order only.
SEARCH_PRECISIONS = ("32-true", "64-true", "bf16-mixed")


def refuse_senseless(config: Config) -> None:
    """Raise UserError for the first value that makes no sense, naming it and its range."""
    for key, value in _values(config, ""):
        holds, rule = RULES.get(key, (None, ""))
        if holds is not None and not holds(value):
            raise UserError(f"{key}={value}: must be {rule}")
    for section, optimizer in (("search.weights", config.search.weights), ("train", config.train)):
        if getattr(optimizer, "lr_min", 0) > optimizer.lr:
            raise UserError(f"{section}.lr_min={optimizer.lr_min}: must be 0 to lr={optimizer.lr}")
    if getattr(config.data, "resize", 0) < getattr(config.data, "size", 0):
        raise UserError(f"data.resize={config.data.resize}: must be at least data.size={config.data.size}, the crop")
    _refuse_senseless_training(config)
    _refuse_low_precision(config)
    _refuse_misfits(config)


def _refuse_senseless_training(config: Config) -> None:
    """Of a classifier."""
    train = config.train
    if train.network != "classifier" or config.task.name not in ("retrain", "search_and_retrain"):
        return
    if train.warmup_epochs > train.epochs:
        raise UserError(f"train.warmup_epochs={train.warmup_epochs}: must be at most train.epochs={train.epochs}")
    if train.stem == "imagenet" and train.init_channels < 2:
        raise UserError(f"train.init_channels={train.init_channels}: must be at least 2 with train.stem=imagenet")


def _refuse_misfits(config: Config) -> None:
    """What searches a recurrent cell reads text, and nothing else does."""
    if config.task.name not in ("search", "search_and_retrain"):
        return
    recurrent, text = config.search.space == "rnn", config.data.kind == "text"
    if recurrent and not text:
        raise UserError(
            f"search.space=rnn reads text, but data={config.data.name} holds images\n"
            "use data=ptb, wikitext2, text or pydocs, or search=cnn"
        )
    if text and not recurrent:
        raise UserError(
            f"search.space={config.search.space} reads images, but data={config.data.name} is text\n"
            "use search=rnn, or images such as data=cifar10"
        )
    if recurrent and config.search_batch_size < 2:
        raise UserError("search.batch_size=1: must be at least 2 with search=rnn, whose BatchNorm averages over it")


#: Why an order does not run in bfloat16, which keeps 8 significant bits.
_SECOND_ORDER = "second derivatives are computed in float32 or float64 only"
_ORDER_REASONS = {
    "second": "the finite difference subtracts nearly equal gradients, whose difference is lost in bfloat16",
    "second_exact": "the product of the Hessian and a vector, differentiated twice, is too inexact in bfloat16",
}
#: Why a search does not run in a precision.
_FLOAT16 = "a search scales no losses, so float16 gradients of the alphas underflow\n"
_PRECISION_REASONS = {
    **dict.fromkeys(("16", "16-mixed", "16-true"), _FLOAT16),
    "bf16-true": "weights kept in bfloat16 lose updates smaller than 1/256 of their value\n",
}


def _refuse_low_precision(config: Config) -> None:
    precision, order = config.hardware.precision, config.order.name
    if config.task.name not in ("search", "search_and_retrain"):
        return
    if "bf16" in precision and order != "first":
        raise UserError(
            f"hardware.precision={precision} with order={order}: {_ORDER_REASONS.get(order, _SECOND_ORDER)}\n"
            "use hardware.precision=32-true, or order=first"
        )
    if precision not in SEARCH_PRECISIONS:
        reason = _PRECISION_REASONS.get(precision, "")
        raise UserError(
            f"hardware.precision={precision}: {reason}use hardware.precision=32-true, 64-true, "
            "or bf16-mixed with order=first"
        )


def _values(node: Any, prefix: str) -> list[tuple[str, Any]]:
    """(dotted key, value) of every leaf."""
    result = []
    for name, value in vars(node).items():
        if is_dataclass(value):
            result += _values(value, f"{prefix}{name}.")
        else:
            result.append((prefix + name, value))
    return result
