"""The folder that a command could mean: by the time of what it holds, not by its name."""

import os
from pathlib import Path

from darts_pl.records.latest import newest_folder


def leave(path: Path, seconds: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (seconds, seconds))


def test_the_folder_whose_checkpoint_was_written_last_is_the_newest(tmp_path: Path) -> None:
    leave(tmp_path / "a" / "search" / "checkpoints" / "last.ckpt", 300)
    leave(tmp_path / "b" / "checkpoints" / "last.ckpt", 200)
    leave(tmp_path / "c" / "metrics.csv", 900)
    assert newest_folder(tmp_path, "**/last.ckpt") == tmp_path / "a"
    leave(tmp_path / "b" / "retrain" / "checkpoints" / "last.ckpt", 400)
    assert newest_folder(tmp_path, "**/last.ckpt") == tmp_path / "b"


def test_the_folder_of_the_command_itself_is_not_meant(tmp_path: Path) -> None:
    leave(tmp_path / "old" / "multirun.yaml", 1)
    leave(tmp_path / "new" / "multirun.yaml", 2)
    assert newest_folder(tmp_path, "multirun.yaml", besides=tmp_path / "." / "new") == tmp_path / "old"


def test_of_equally_new_folders_the_last_by_name_is_meant(tmp_path: Path) -> None:
    for name in ("2026-01-02", "2026-01-03", "2026-01-01"):
        leave(tmp_path / name / "multirun.yaml", 5)
    assert newest_folder(tmp_path, "multirun.yaml") == tmp_path / "2026-01-03"


def test_where_there_is_nothing_nothing_is_meant(tmp_path: Path) -> None:
    assert newest_folder(tmp_path / "absent", "multirun.yaml") is None
    (tmp_path / "empty").mkdir()
    leave(tmp_path / "file", 1)
    assert newest_folder(tmp_path, "multirun.yaml") is None
