"""The typed configuration: what every task is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from darts_pl.settings import Range, at_least, between, one_of, or_null, setting

_RESUME = Range(
    lambda value: isinstance(value, (bool, str)) and value != "", "true, false, or the folder of a run", ("", 1, None)
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """The seconds of a time such as "90s", "10m", "1.5h" or "1d"; 0 of what is no time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


_TIME = Range(
    lambda value: value is None or seconds_of(value) > 0, "a time such as 90s, 10m, 1h or 1d", ("0m", "10", "m", "-1h")
)


def _is_named(value: Any) -> bool:
    """Whether this is a text that can be a name. A shell's variable without a value leaves an empty text, whose path
    would be the current folder."""
    return isinstance(value, str) and bool(value.strip())


_NAME = or_null(Range(_is_named, "a name", ("", " ")), "none")
_FOLDERS = Range(
    lambda value: (
        value is None or _is_named(value) or (isinstance(value, list) and all(_is_named(one) for one in value))
    ),
    "a folder, or several as [A,B]",
    (1, "", [1], [""]),
)


@dataclass(kw_only=True)
class CommandSettings:
    """The values at the top level of the configuration; everything else is in a section."""

    seed: int = setting("seeds weights, data order and augmentation", between(0, 2**32 - 1))
    resume: Any = setting("whether to continue the checkpoint in hydra.run.dir, or the folder to continue", _RESUME)
    overwrite: bool = setting("whether a finished or stopped run in the folder is deleted first")
    save_every: int | None = setting(
        "batches between two checkpoints within an epoch", or_null(at_least(1), "epochs' ends only")
    )
    imports: list[str] = setting("modules to import first, such as one that registers your own components")
    method: str | None = setting("the method, a group that chooses the parts of the search")
    preset: str | None = setting("values for small data, a group; none = the recipes of the papers", default="none")
    genotype: str | None = setting("a file, the folder of a finished search, or a published name", _NAME)
    compare: str | None = setting(
        "for task=retrain and search_and_retrain: a classifier of torchvision to train in the same way", default=None
    )
    time_budget: str | None = setting(
        "how long a search or a training may take on this machine: sizes and epochs are chosen to fit",
        _TIME,
        default=None,
    )
    run: str | None = setting("the folder of a finished run, for tasks that read one", _NAME)
    runs: Any = setting("folders with runs in them, for task=collect and task=report", _FOLDERS)
    checkpoint: str | None = setting("a checkpoint file, for tasks that read one", _NAME)
    input: str | None = setting("what task=predict reads: a photo, a folder of photos, an npz file, a text", _NAME)
    format: str | None = setting(
        "what task=export writes (onnx, pt2, folder, source), or task=figures (pdf, svg, png)",
        one_of("onnx", "pt2", "folder", "source", "pdf", "svg", "png"),
    )
    debug: bool = setting("whether to run one epoch, of one batch of each phase")


@dataclass(kw_only=True)
class Config(CommandSettings):
    """The whole configuration: ``config.seed``, ``config.search.epochs``, ``config.order.name``.

    Args:
        sections: the settings of each section, by its name.
    """

    sections: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """The settings of section `name`."""
        try:
            return self.__dict__["sections"][name]
        except KeyError:
            raise AttributeError(f"the configuration has no section {name!r}") from None

    @property
    def search_batch_size(self) -> int:
        """Batch size of each half of a search."""
        return int(self.data.batch_size or self.search.batch_size)

    @property
    def train_batch_size(self) -> int:
        """Batch size of a training from scratch."""
        return int(self.data.batch_size or self.train.batch_size)
