"""MLflow and Comet, through Lightning's own loggers."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.runs.loggers.settings import CometSettings, MlflowSettings
from darts_pl.runs.loggers.weights_and_biases import Labels

#: Name of the group file and of the extra -> the module that the extra installs.
MODULES = {"mlflow": "mlflow", "comet": "comet_ml", "tensorboard": "tensorboard"}


def require_extra(name: str) -> None:
    """Raise UserError if the package of a logger is not installed."""
    if importlib.util.find_spec(MODULES[name]) is None:
        raise UserError(
            f"logger={name} needs {MODULES[name]}: pip install 'darts-pl[{name}]' (in a checkout '.[{name}]')"
        )


class MlflowSink:
    """An MLflow run. Its id is in the run's folder, so a resumed run continues the same MLflow run.

    Args:
        config: of the logger group.
        folder: of the run.
        resolved: the whole configuration, logged as parameters.
        labels: of the run.
        resume: whether the run whose id is in the folder is continued.
    """

    def __init__(
        self, config: MlflowSettings, folder: Path, resolved: Mapping[str, Any], labels: Labels, *, resume: bool
    ) -> None:
        from pytorch_lightning.loggers import MLFlowLogger

        place = folder / "mlflow"
        place.mkdir(parents=True, exist_ok=True)
        stored = place / "id"
        tags = {"job_type": labels.job_type, "group": labels.group or "", "tags": ",".join(labels.tags)}
        self._logger = MLFlowLogger(
            experiment_name=config.experiment,
            run_name=labels.name,
            tracking_uri=config.tracking_uri
            or os.environ.get("MLFLOW_TRACKING_URI")
            or f"sqlite:///{place.resolve()}/mlflow.db",
            artifact_location=None if config.tracking_uri or "MLFLOW_TRACKING_URI" in os.environ else str(place),
            tags=tags,
            run_id=stored.read_text(encoding="utf-8").strip() if resume and stored.is_file() else None,
        )
        self._client = self._logger.experiment
        self._run = str(self._logger.run_id)
        atomic.write(stored, f"{self._run}\n")
        if not resume:
            self._logger.log_hyperparams(dict(resolved))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Numbers by name; the step is the batch."""
        self._logger.log_metrics(dict(metrics), step)

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8, as an artifact."""
        self._client.log_image(self._run, image, f"{key}/{step:08}.png")

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, as an artifact in Markdown."""
        self._client.log_text(self._run, _markdown(columns, rows), f"{key}.md")

    def log_summary(self, summary: Summary) -> None:
        """Numbers as metrics, and all of it as an artifact."""
        self._logger.log_metrics(_numbers(summary))
        self._client.log_text(self._run, _markdown(("name", "value"), list(summary.items())), "summary.md")

    def close(self, exit_code: int) -> None:
        """End the run; any code but 0 shows as failed."""
        self._logger.finalize("failed" if exit_code else "success")


class CometSink:
    """A Comet experiment. Its key is in the run's folder, so a resumed run continues the same experiment.

    Args:
        config: of the logger group.
        folder: of the run; without an API key the records stay in its subfolder ``comet``.
        resolved: the whole configuration, logged as parameters.
        labels: of the run.
        resume: whether the experiment whose key is in the folder is continued.
    """

    def __init__(
        self, config: CometSettings, folder: Path, resolved: Mapping[str, Any], labels: Labels, *, resume: bool
    ) -> None:
        from pytorch_lightning.loggers import CometLogger

        place = folder / "comet"
        place.mkdir(parents=True, exist_ok=True)
        stored = place / "id"
        online = config.online
        if online is None:  # Comet would ask a person at a terminal for the key
            online = "COMET_API_KEY" in os.environ or (Path.home() / ".comet.config").is_file()
        self._logger = CometLogger(
            workspace=config.workspace,
            project=config.project,
            experiment_key=stored.read_text(encoding="utf-8").strip() if resume and stored.is_file() else None,
            online=online,
            name=labels.name,
            tags=[labels.job_type, *labels.tags, *([labels.group] if labels.group else [])],
            offline_directory=str(place),
        )
        self._experiment = self._logger.experiment
        atomic.write(stored, f"{self._experiment.get_key()}\n")
        self._logger.log_hyperparams(dict(resolved))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Numbers by name; the step is the batch."""
        self._logger.log_metrics(dict(metrics), step)

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8."""
        self._experiment.log_image(image, name=key, step=step)

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, as text in Markdown."""
        self._experiment.log_text(_markdown(columns, rows), step=step, metadata={"name": key})

    def log_summary(self, summary: Summary) -> None:
        """Into the experiment's other values."""
        self._experiment.log_others(dict(summary))

    def close(self, exit_code: int) -> None:
        """End the experiment; the exit status is kept beside it."""
        self._experiment.log_other("exit_status", exit_code)
        self._experiment.end()


def _numbers(summary: Summary) -> dict[str, float]:
    return {name: float(value) for name, value in summary.items() if isinstance(value, (int, float))}


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"
