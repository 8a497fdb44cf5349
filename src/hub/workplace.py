"""Where a publication works: a folder and at most one process, both gone when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from .errors import INTERRUPTED

PREFIX = "hub-publication-"
"""How the folders begin; one that no process holds was left behind by a run that was killed."""

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Signals by which a person or a system ends the command."""


class Workplace:
    """A folder for downloads, locked while this process lives, and the process that looks at them.

    While it is open, a signal that ends the command ends it at once. Threads of the Hub's client may sleep or wait for an answer, and
    nothing in Python can wake them, so this does not wait for them either.

    Attributes:
        folder: The folder.
    """

    def __enter__(self) -> Self:
        sweep()
        self._child: subprocess.Popen[str] | None = None
        self._starting, self._asked = False, 0
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder.mkdir(exist_ok=True)  # should another run have swept it in between
        self._before = {number: signal.signal(number, self._stop) for number in STOPPING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clear()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._lock)

    def python(
        self, arguments: list[str], environment: dict[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str] | None:
        """Run Python in the folder; None if it took too long."""
        self._starting = True
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._starting = False
        if self._asked:
            self._end(self._asked)
        try:
            out, err = self._child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self._kill()
            self._child.wait()
            code, self._child = self._child.returncode, None
        return subprocess.CompletedProcess(arguments, code, out, err)

    def _kill(self) -> None:
        """End the process and what it started."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def _clear(self) -> None:
        for _ in range(20):  # a thread of the client may write into it meanwhile
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.05)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._starting:  # the process is not known yet
            self._asked = number
        else:
            self._end(number)

    def _end(self, number: int) -> None:
        for other in STOPPING:
            signal.signal(other, signal.SIG_IGN)
        self._kill()
        if self._child is not None:
            with suppress(ChildProcessError):
                os.waitpid(self._child.pid, 0)
        self._clear()
        # Not through sys.stderr or Rich, which may have been interrupted in the midst of a line.
        shown = "\x1b[?25h\n" if sys.stderr.isatty() else ""
        os.write(2, f"{shown}error: {INTERRUPTED}\n".encode())
        os._exit(128 + number)


def sweep() -> None:
    """Remove the folders of runs that were killed: those of this user that no living process has locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            handle = os.open(folder, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use
            pass
        finally:
            os.close(handle)
