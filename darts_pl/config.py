"""The typed configuration and its validation. Defaults stand in `conf/`, not here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Optional, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from darts_pl.errors import UserError

# OmegaConf reads these annotations at run time and knows Optional[X] but not every X | None.
# ruff: noqa: UP045


@dataclass
class TaskConfig:
    """Which task runs, and which of its results a sweep maximises."""

    name: str
    objective: str
    compare_random: bool


@dataclass
class WeightsOptimizer:
    """SGD with a cosine schedule per epoch."""

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    grad_clip: Optional[float]


@dataclass
class AlphasOptimizer:
    """Adam with L2 weight decay."""

    lr: float
    betas: list[float]
    weight_decay: float


@dataclass
class SearchConfig:
    """A convolutional search."""

    space: str
    candidates: list[str]
    relaxation: str
    nodes: int
    layers: int
    init_channels: int
    epochs: int
    batch_size: int
    train_portion: float
    weights: WeightsOptimizer
    alphas: AlphasOptimizer


@dataclass
class OrderConfig:
    """How the gradient of the alphas is computed."""

    name: str
    radius: float


@dataclass
class SelectConfig:
    """How a genotype is derived."""

    name: str


@dataclass
class TrainConfig:
    """Training a final network from scratch."""

    layers: int
    init_channels: int
    epochs: int
    batch_size: int
    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    grad_clip: Optional[float]
    cutout: int
    drop_path: float
    auxiliary_weight: float


@dataclass
class DataConfig:
    """Which data, and how they are batched and augmented."""

    name: str
    path: Optional[str]
    batch_size: Optional[int]
    eval_batch_size: int
    crop_padding: int
    flip: bool
    mean: Optional[list[float]]
    std: Optional[list[float]]


@dataclass
class HardwareConfig:
    """What the Trainer runs on."""

    accelerator: str
    devices: Any
    precision: str
    strategy: str
    deterministic: bool


@dataclass
class WandbConfig:
    """Weights & Biases; `mode` None = online if logged in, else offline."""

    mode: Optional[str]
    project: str
    entity: Optional[str]


@dataclass
class LoggerConfig:
    """Loggers beside `metrics.csv`."""

    wandb: Optional[WandbConfig]


@dataclass
class Config:
    """Everything a task is given."""

    seed: int
    resume: bool
    imports: list[str]
    genotype: Optional[str]
    run: Optional[str]
    checkpoint: Optional[str]
    debug: bool
    task: TaskConfig
    search: SearchConfig
    order: OrderConfig
    select: SelectConfig
    train: TrainConfig
    data: DataConfig
    hardware: HardwareConfig
    logger: LoggerConfig

    @property
    def search_batch_size(self) -> int:
        """Batch size of each half of a search."""
        return self.data.batch_size or self.search.batch_size

    @property
    def train_batch_size(self) -> int:
        """Batch size of a training from scratch."""
        return self.data.batch_size or self.train.batch_size


def typed(config: DictConfig) -> Config:
    """The composed configuration as dataclasses, validated.

    Raises:
        UserError: for an unknown key (with the nearest known one), a missing or wrongly typed
            value, or one that makes no sense.
    """
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    _refuse_unknown(values, Config, "")
    for key in sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{key} is missing; give {key}=...")
    try:
        result = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), config))
    except OmegaConfBaseException as error:
        raise UserError(_type_message(config, error)) from None
    assert isinstance(result, Config)
    _refuse_senseless(result)
    return result


def _type_message(config: DictConfig, error: OmegaConfBaseException) -> str:
    key = str(error.full_key or "configuration")
    reason = str(error.msg or error).splitlines()[0]
    if "is not a ListConfig" in reason:
        return f"{key}={OmegaConf.select(config, key)}: must be a list, such as {key}=[a,b]"
    return f"{key}: {reason}"


def known_keys(schema: type = Config, prefix: str = "") -> list[str]:
    """All keys of the configuration, dotted."""
    keys = []
    for name, kind in _children(schema).items():
        keys.append(prefix + name)
        if kind is not None:
            keys += known_keys(kind, f"{prefix}{name}.")
    return keys


def nearest_key(key: str) -> str | None:
    """The known key that looks most like `key`, if any does."""
    known = known_keys()
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not close:  # the right name in the wrong place
        last = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
        close = [last[name] for name in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1, cutoff=0.75)]
    return close[0] if close else None


def _children(schema: type) -> dict[str, type | None]:
    """Field names of a dataclass, with the dataclass that each holds, if any."""
    hints = get_type_hints(schema)
    result: dict[str, type | None] = {}
    for field in fields(schema):
        kinds = [kind for kind in (hints[field.name], *get_args(hints[field.name])) if is_dataclass(kind)]
        result[field.name] = kinds[0] if kinds else None  # type: ignore[assignment]  # is_dataclass narrows too little
    return result


def _refuse_unknown(values: dict[Any, Any], schema: type, prefix: str) -> None:
    children = _children(schema)
    for name, value in values.items():
        if name not in children:
            near = nearest_key(f"{prefix}{name}")
            hint = f"; did you mean {near}?" if near else ""
            raise UserError(f"unknown key {prefix}{name}{hint}")
        kind = children[name]
        if kind is not None and isinstance(value, dict):
            _refuse_unknown(value, kind, f"{prefix}{name}.")


def _refuse_senseless(config: Config) -> None:
    for section in ("search", "train"):
        values = getattr(config, section)
        for name in ("layers", "init_channels", "epochs", "batch_size"):
            _require(getattr(values, name) >= 1, f"{section}.{name}", getattr(values, name), "at least 1")
    search, train, data = config.search, config.train, config.data
    _require(search.nodes >= 1, "search.nodes", search.nodes, "at least 1")
    _require(search.init_channels % 2 == 0, "search.init_channels", search.init_channels, "even")
    _require(0 < search.train_portion < 1, "search.train_portion", search.train_portion, "between 0 and 1")
    for prefix, optimizer in (("search.weights", search.weights), ("train", train)):
        _require(optimizer.lr > 0, f"{prefix}.lr", optimizer.lr, "above 0")
        _require(0 <= optimizer.lr_min <= optimizer.lr, f"{prefix}.lr_min", optimizer.lr_min, "0 to lr")
        _require(0 <= optimizer.momentum < 1, f"{prefix}.momentum", optimizer.momentum, "0 or more, below 1")
        _require(optimizer.weight_decay >= 0, f"{prefix}.weight_decay", optimizer.weight_decay, "0 or more")
        clip = optimizer.grad_clip
        _require(clip is None or clip > 0, f"{prefix}.grad_clip", clip, "above 0, or null for none")
    alphas = search.alphas
    _require(alphas.lr > 0, "search.alphas.lr", alphas.lr, "above 0")
    _require(alphas.weight_decay >= 0, "search.alphas.weight_decay", alphas.weight_decay, "0 or more")
    in_range = len(alphas.betas) == 2 and all(0 <= beta < 1 for beta in alphas.betas)
    _require(in_range, "search.alphas.betas", alphas.betas, "two numbers of 0 or more, below 1")
    _require(config.order.radius > 0, "order.radius", config.order.radius, "above 0")
    _require(train.cutout >= 0, "train.cutout", train.cutout, "0 or more")
    _require(0 <= train.drop_path < 1, "train.drop_path", train.drop_path, "0 or more, below 1")
    _require(train.auxiliary_weight >= 0, "train.auxiliary_weight", train.auxiliary_weight, "0 or more")
    _require(data.batch_size is None or data.batch_size >= 1, "data.batch_size", data.batch_size, "at least 1")
    _require(data.eval_batch_size >= 1, "data.eval_batch_size", data.eval_batch_size, "at least 1")
    _require(data.crop_padding >= 0, "data.crop_padding", data.crop_padding, "0 or more")
    _require(0 <= config.seed < 2**32, "seed", config.seed, "0 to 4294967295")
    if config.hardware.precision == "16-mixed" and config.task.name != "retrain":
        raise UserError(
            "hardware.precision=16-mixed: a search scales no losses, so float16 gradients of the alphas underflow\n"
            "use hardware.precision=32-true, or bf16-mixed with order=first"
        )
    if config.hardware.precision == "bf16-mixed" and config.order.name != "first" and config.task.name != "retrain":
        raise UserError(
            f"hardware.precision=bf16-mixed with order={config.order.name}: "
            "differences of nearly equal losses drown in bfloat16\nuse hardware.precision=32-true, or order=first"
        )


def _require(holds: bool, key: str, value: Any, rule: str) -> None:
    if not holds:
        raise UserError(f"{key}={value}: must be {rule}")
