"""Run a notebook in a kernel of its own, reached through a file that only its owner can open.

Kernels usually listen on ports of the machine, in plain text: anybody on it may listen, and two
that start at the same moment may take the same port. Sockets in a private folder have neither.
"""

import atexit
import re
import tempfile
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

__all__ = ["run"]

# Of a socket's path: 103 characters on macOS, 107 on Linux.
LONGEST = 103


def run(notebook: NotebookNode, folder: Path, *, timeout: float | None) -> int | None:
    """Execute a notebook in place, in a folder; a kernel that never started gets one more try.

    Args:
        notebook: What is executed; its cells receive counts and outputs.
        folder: The working folder of its kernel.
        timeout: Seconds for one cell, None for any number.

    Returns:
        The most memory that the kernel held at any time, in MB; None where that is not told
        (elsewhere than on Linux, or without a code cell).

    Raises:
        CellExecutionError: Where a cell raises. It is not tried again.
        CellTimeoutError: Where a cell takes longer.
        RuntimeError: For a kernel that died, or did not start twice.
    """
    try:
        return _run(notebook, folder, timeout)
    except _NeverStarted:
        return _run(notebook, folder, timeout)


class _NeverStarted(RuntimeError):
    """The kernel was gone, or said nothing, before it was given a cell."""


def _run(notebook: NotebookNode, folder: Path, timeout: float | None) -> int | None:
    given, peaks = [], [None]
    with tempfile.TemporaryDirectory(dir=_short()) as private:
        files = {"transport": "ipc", "connection_file": f"{private}/kernel.json"}
        client = NotebookClient(
            notebook,
            timeout=timeout,
            resources={"metadata": {"path": str(folder)}},
            config=Config(ConnectionFileMixin=files),
            # Timings in the cells would keep the notebook cache from ever matching them again.
            record_timing=False,
            on_cell_execute=lambda **cell: given.append(cell["cell_index"]),
            on_cell_executed=lambda **cell: peaks.append(_peak(client.km.provisioner.pid)),
        )
        try:
            client.execute()
        except RuntimeError as error:
            if given:
                raise
            # nbclient would clean up once more at exit, and fail on a kernel that is none.
            atexit.unregister(client._cleanup_kernel)
            raise _NeverStarted(f"no kernel started: {error}") from error
    return peaks[-1]


def _peak(pid: int) -> int | None:
    """The most memory that a process has held so far, in MB, from where Linux counts it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) * 1024 / 1e6) if found else None


def _short() -> str | None:
    """A folder for temporary files whose path leaves room for a socket's, None for the usual."""
    longest = len(f"{tempfile.gettempdir()}/tmpabcdefgh/kernel-ipc-5")
    return "/tmp" if longest > LONGEST else None
