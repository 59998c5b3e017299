"""The configuration as dataclasses. Defaults stand in `conf/`, not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

# ruff: noqa: UP045 -- OmegaConf reads these annotations at run time and knows Optional[X] but not every X | None


@dataclass
class TaskConfig:
    """Which task runs, and which of its results a sweep maximises."""

    name: str
    objective: Optional[str]
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
    """What every search has."""

    space: str
    candidates: list[str]
    relaxation: str
    nodes: int
    epochs: int
    batch_size: int
    weights: WeightsOptimizer
    alphas: AlphasOptimizer


@dataclass
class CnnSearchConfig(SearchConfig):
    """A convolutional search."""

    layers: int
    init_channels: int
    stem: str
    train_portion: float


@dataclass
class RnnSearchConfig(SearchConfig):
    """A recurrent search."""

    units: int
    bptt: int
    short_probability: float
    dropout: float
    dropouth: float
    dropoutx: float
    dropouti: float
    dropoute: float
    slowness: float


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
    """What every training from scratch has."""

    network: str
    epochs: int
    batch_size: int


@dataclass
class ClassifierTrainConfig(TrainConfig):
    """Training a classifier."""

    layers: int
    init_channels: int
    stem: str
    lr: float
    lr_min: float
    schedule: str
    lr_decay: float
    warmup_epochs: int
    momentum: float
    weight_decay: float
    grad_clip: Optional[float]
    cutout: int
    drop_path: float
    auxiliary_weight: float
    label_smoothing: float
    accumulate: int
    ema: Optional[float]


@dataclass
class LanguageTrainConfig(TrainConfig):
    """Training a language model."""

    units: int
    bptt: int
    short_probability: float
    length_spread: float
    length_least: int
    length_over: int
    dropout: float
    dropouth: float
    dropoutx: float
    dropouti: float
    dropoute: float
    lr: float
    weight_decay: float
    grad_clip: Optional[float]
    slowness: float
    activation: float
    nonmono: int
    rollbacks: int


@dataclass
class DataConfig:
    """What all data have."""

    kind: str
    name: str
    path: Optional[str]
    batch_size: Optional[int]


@dataclass
class ImageDataConfig(DataConfig):
    """Small images, and how they are augmented."""

    stem: str
    eval_batch_size: int
    crop_padding: int
    flip: bool
    mean: Optional[list[float]]
    std: Optional[list[float]]


@dataclass
class PhotoDataConfig(DataConfig):
    """Photos in folders, read by worker processes, and how they are augmented."""

    stem: str
    eval_batch_size: int
    share: float
    size: int
    resize: int
    crop_scale: float
    flip: bool
    color_jitter: list[float]
    mean: list[float]
    std: list[float]
    workers: Optional[int]


@dataclass
class TextDataConfig(DataConfig):
    """Text, read as a stream of words."""

    eval_batch_size: int
    test_batch_size: int
    share: float


@dataclass
class HardwareConfig:
    """What the Trainer runs on."""

    accelerator: str
    devices: Any
    precision: str
    strategy: str
    nodes: Optional[int]
    deterministic: bool
    threads: Optional[int]


@dataclass
class WandbConfig:
    """Weights & Biases; `mode` None = online if logged in, else offline."""

    mode: Optional[str]
    project: str
    entity: Optional[str]
    timeout: float


@dataclass
class MlflowConfig:
    """MLflow."""

    experiment: str
    tracking_uri: Optional[str]
    timeout: float


@dataclass
class CometConfig:
    """Comet; `online` None = online if there is an API key, else offline."""

    project: str
    workspace: Optional[str]
    online: Optional[bool]
    timeout: float


@dataclass
class LoggerConfig:
    """Loggers beside `metrics.csv`, and what they are given."""

    every_n_steps: int
    alphas: bool
    wandb: Optional[WandbConfig]
    tensorboard: bool
    mlflow: Optional[MlflowConfig]
    comet: Optional[CometConfig]


#: The schema of a section whose keys depend on one of them: section -> (key, its values' schemas).
VARIANTS: Mapping[str, tuple[str, Mapping[str, type]]] = {
    "search": ("space", {"cnn": CnnSearchConfig, "rnn": RnnSearchConfig}),
    "train": ("network", {"classifier": ClassifierTrainConfig, "language_model": LanguageTrainConfig}),
    "data": ("kind", {"images": ImageDataConfig, "photos": PhotoDataConfig, "text": TextDataConfig}),
}


@dataclass
class Config:
    """Everything a task is given."""

    seed: int
    resume: Any  # true, false, or the folder of a run
    overwrite: bool
    save_every: Optional[int]
    imports: list[str]
    genotype: Optional[str]
    run: Optional[str]
    runs: Any  # a folder, or a list of folders
    checkpoint: Optional[str]
    format: Optional[str]
    debug: bool
    task: TaskConfig
    search: Any  # one of VARIANTS["search"], likewise train and data
    order: OrderConfig
    select: SelectConfig
    train: Any
    data: Any
    hardware: HardwareConfig
    logger: LoggerConfig

    @property
    def search_batch_size(self) -> int:
        """Batch size of each half of a search."""
        return int(self.data.batch_size or self.search.batch_size)

    @property
    def train_batch_size(self) -> int:
        """Batch size of a training from scratch."""
        return int(self.data.batch_size or self.train.batch_size)
