"""The typed configuration and its validation. Defaults stand in `conf/`, not here."""

from darts_pl.config.schema import (
    ClassifierTrainConfig,
    CnnSearchConfig,
    CometConfig,
    Config,
    DataConfig,
    HardwareConfig,
    ImageDataConfig,
    LanguageTrainConfig,
    LoggerConfig,
    MlflowConfig,
    PhotoDataConfig,
    RnnSearchConfig,
    SearchConfig,
    TextDataConfig,
    TrainConfig,
    WandbConfig,
)
from darts_pl.config.typed import known_keys, nearest_key, typed

__all__ = [
    "ClassifierTrainConfig",
    "CnnSearchConfig",
    "CometConfig",
    "Config",
    "DataConfig",
    "HardwareConfig",
    "ImageDataConfig",
    "LanguageTrainConfig",
    "LoggerConfig",
    "MlflowConfig",
    "PhotoDataConfig",
    "RnnSearchConfig",
    "SearchConfig",
    "TextDataConfig",
    "TrainConfig",
    "WandbConfig",
    "known_keys",
    "nearest_key",
    "typed",
]
