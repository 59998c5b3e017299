"""TensorBoard, through Lightning's logger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger

from darts_pl.records.folder import Summary


class TensorBoardSink:
    """Event files in the folder `tensorboard` of a run; a resumed run adds one there.

    Args:
        folder: of the run.
        resolved: the whole configuration, shown as text.
    """

    def __init__(self, folder: Path, resolved: Mapping[str, Any]) -> None:
        self._logger = TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False)
        self._add_text("config", f"```yaml\n{OmegaConf.to_yaml(OmegaConf.create(dict(resolved)))}```")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Numbers by name; the step is the batch."""
        self._logger.log_metrics(dict(metrics), step)

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8."""
        self._logger.experiment.add_image(key, image, step, dataformats="HWC")

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, as text in Markdown."""
        lines = [columns, ["---"] * len(columns), *rows]
        self._add_text(key, "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines), step)

    def log_summary(self, summary: Summary) -> None:
        """As text in Markdown."""
        lines = [("name", "value"), ("---", "---"), *summary.items()]
        self._add_text("summary", "\n".join(f"| {name} | {value} |" for name, value in lines))

    def close(self, exit_code: int) -> None:
        """Write what is left and close the files."""
        self._logger.experiment.close()

    def _add_text(self, key: str, text: str, step: int | None = None) -> None:
        self._logger.experiment.add_text(key, text, step)
