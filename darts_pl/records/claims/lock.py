"""An exclusive lock on a folder, which ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import socket
import sys
import weakref
from pathlib import Path

#: Name of the lock file in the folder.
LOCK = ".lock"

#: Error numbers of a file system that knows no locks. The folder is then used without one.
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}

_open_locks: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """A held lock. It is released by `release`, or by the operating system when the process ends in any way.

    Args:
        path: of the lock file.
        descriptor: of the open and locked file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        _open_locks.add(self)

    def release(self) -> None:
        """Remove the lock file and end the lock."""
        if self._descriptor is None:
            return
        if sys.platform == "win32":  # which does not remove an open file
            self.forget()
            _remove(self.path)
        else:
            _remove(self.path)
            self.forget()

    def forget(self) -> None:
        """Close this process's descriptor. In a forked process the lock then stays with the parent alone."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def lock_folder(folder: Path) -> FolderLock | None:
    """Lock an existing folder without waiting; None if another process, or another lock of this one, holds it.

    POSIX systems lock the file `.lock` with ``flock``, Windows with ``msvcrt.locking``. On a file system without
    locks the folder counts as free.

    Raises:
        OSError: if the lock file cannot be written: a read-only folder, a full disk.
    """
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor):
                os.close(descriptor)
                return None
            if not _is_open_file(path, descriptor):  # its former owner removed it between our two calls
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            os.fsync(descriptor)
        except OSError:
            _remove(path)
            os.close(descriptor)
            raise
        return FolderLock(path, descriptor)


def holder(folder: Path) -> str:
    """Who holds the lock of a folder, such as ``process 4711 on node3``."""
    try:
        return (folder / LOCK).read_text(encoding="utf-8").strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # far behind the text, which others may then still read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return True


def _is_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # it may stay: a file without a lock is free
        return


def _forget_in_child() -> None:
    for lock in list(_open_locks):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
