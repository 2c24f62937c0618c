"""What is installed and where it keeps things: `python -m companion`."""

import importlib
import platform
import textwrap
from collections.abc import Iterator

import torch

import companion
from companion import run, storage
from companion.datasets import images

WIDTH = 79


def report() -> Iterator[str]:
    """The lines: versions, rooms, data sets, folders."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    yield f"companion {companion.__version__}, with torch {torch.__version__} on {device},"
    yield f"Python {platform.python_version()}; the size of a run is {run.size!r}."
    yield "\nRooms, `from companion import ...`:"
    for name in companion.__all__:
        if not name.startswith("__"):
            yield _row(name, _promise(importlib.import_module(f"companion.{name}").__doc__))
    yield "\nData sets, `datasets.load(...)`:"
    for name in images.NAMES:
        yield f"  {name:15}{_place(name)}"
    yield "\nDownloads and trained networks:"
    folder = storage.cache()
    kept = len(list(folder.glob("networks/*.pt"))) if folder else 0
    yield f"  {folder} ({kept} networks)" if folder else "  nowhere: no folder can be written"


def _row(name: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"  {name:15}", subsequent_indent=" " * 17)


def _promise(doc: str) -> str:
    """The first sentence of a docstring."""
    return " ".join(doc.split("\n\n")[0].split())


def _place(name: str) -> str:
    if name == "digits":
        return "comes with scikit-learn"
    folder = images.located(name)
    absent = "not here" if name == "cifar10-small" else "not here; loading it downloads it"
    return absent if folder is None else f"in {folder}"


if __name__ == "__main__":
    print("\n".join(report()))
