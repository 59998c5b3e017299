"""A run's exclusive claim on its folder, from before its first file to after its last."""

from __future__ import annotations

import errno
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records import contents
from darts_pl.records.claims.lock import FolderLock, holder, lock_folder


@dataclass
class Claim:
    """A folder that this process alone writes to.

    Args:
        folder: the claimed folder.
        lock: on it.
        made: folders that were made for it, the innermost first.
        hydra: what Hydra had written for the run that the folder holds, by file name.
    """

    folder: Path
    lock: FolderLock
    made: list[Path]
    hydra: dict[str, bytes] = field(default_factory=dict)

    def end(self, *, refused: bool) -> None:
        """Release the folder.

        Args:
            refused: whether the command was refused. It then leaves the folder as it found it.
        """
        contents.finish_replacement(self.folder)
        if refused:
            self._undo_hydra()
        self.lock.release()
        if refused and not contents.holds_run(self.folder):
            contents.remove_made(self.made)

    def _undo_hydra(self) -> None:
        """Restore what Hydra had written for the run that is in the folder; without a run nothing of it stays."""
        place = self.folder / contents.HYDRA
        if self.hydra:
            for name, content in self.hydra.items():
                atomic.write(place / name, content)
        elif place.is_dir() and not contents.holds_run(self.folder) and not contents.holds_sweep(self.folder):
            for path in place.iterdir():
                path.unlink()
            place.rmdir()


def claim_folder(folder: Path, key: str, *, resume: bool = False, overwrite: bool = False) -> Claim:
    """Claim a folder that the command names.

    Args:
        folder: made if it does not exist.
        key: the configuration key that names it, for messages.
        resume: whether a run that the folder holds is continued.
        overwrite: whether it is replaced. Its files are then moved aside, and deleted when the new run has written
            some of its own; files that no run writes stay.

    Raises:
        UserError: if it cannot be made or written, another process holds it, or it holds a run that is neither
            continued nor replaced.
    """
    try:
        claim = _claim(folder, contents.make_folder(folder, new=False))
    except (OSError, ValueError) as error:  # a ValueError for a path with a zero byte
        raise _unusable(folder, key, error) from None
    if claim is None:
        raise UserError(f"{folder}: in use by {holder(folder)}; wait until it ends, or choose another {key}")
    if (wrong := contents.misplaced(folder)) is not None:
        claim.lock.release()
        needed, found = ("file", "folder") if wrong.is_dir() else ("folder", "file")
        raise UserError(f"{wrong}: is a {found} where the run needs a {needed}; choose another {key}")
    contents.finish_replacement(folder)  # of a command that was killed
    what = "run" if contents.holds_run(folder) else "sweep" if contents.holds_sweep(folder) else None
    if what is not None and overwrite:
        contents.move_aside(folder)
    elif what is not None and not resume:
        claim.lock.release()
        raise UserError(
            f"{folder}: holds a {what}; add resume=true to continue it, overwrite=true to replace it, "
            f"or choose another {key}"
        )
    elif what is not None:
        claim.hydra = {path.name: path.read_bytes() for path in (folder / contents.HYDRA).glob("*") if path.is_file()}
    return claim


def claim_new_folder(folder: Path, key: str) -> Claim:
    """Claim a folder that did not exist: `folder`, or where that name is taken the name with ``_2``, ``_3``, ...

    Args:
        folder: the default name.
        key: the configuration key that would name another, for messages.

    Raises:
        UserError: if it cannot be made or written.
    """
    for number in itertools.count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        try:
            made = contents.make_folder(candidate, new=True)
            claim = _claim(candidate, made)
        except FileExistsError as error:
            if not candidate.exists():  # it is a parent that is a file
                raise _unusable(candidate, key, error) from None
            continue
        except (OSError, ValueError) as error:
            raise _unusable(candidate, key, error) from None
        if claim is not None:
            return claim
    raise AssertionError("itertools.count ended")


def _claim(folder: Path, made: list[Path]) -> Claim | None:
    try:
        lock = lock_folder(folder)
    except OSError:
        contents.remove_made(made)
        raise
    return None if lock is None else Claim(folder, lock, made)


def _unusable(folder: Path, key: str, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno in atomic.DISK_FULL:
        return UserError(f"{key}={folder}: {error.strerror}; free some space, or choose another folder")
    reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    if isinstance(error, OSError) and error.errno == errno.ENOENT:
        reason = "no folder can be made there"
    name = str(folder)
    shown = name if len(name) <= 120 else f"{name[:117]}..."
    return UserError(f"{key}={shown}: {reason}; choose another folder that can be written")
