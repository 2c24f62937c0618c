"""Execute a chapter in a larger size than a build can and keep what its claims measured.

The chapter itself is executed, so that what is kept was measured by the code the reader sees.
Networks come from the cache; missing ones are trained. The scripts beside this file say which
chapter, and in which size.
"""

import multiprocessing
import os
import sys
from itertools import repeat
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from companion import storage
from companion.book import results


def keep(chapter: str, *, size: str) -> None:
    """Execute `book/CHAPTER.ipynb` on both data sets and keep its claims under its name.

    `size` is what NETWORK_GEOMETRY_FULL says to the chapter. Both data sets are always run, side
    by side, so that all that is kept comes from one machine and one command.
    """
    root = storage.checkout()
    if root is None:
        sys.exit("No checkout: kept results belong into the repository, so run this from one.")
    name, values = Path(chapter).name, {}
    path, images = root / "book" / f"{chapter}.ipynb", ("digits", "mnist")
    with multiprocessing.get_context("spawn").Pool(len(images)) as pool:
        runs = pool.starmap(measured, zip(repeat(path), images, repeat(size), strict=False))
    for record in (record for run in runs for record in run):
        # Toy sets, and what is always measured on digits, are under their own names.
        data = record["data"].removesuffix(" full")
        values.setdefault(data, {})[record["key"].partition("/")[2]] = _short(record)
    results.keep(name, values, command=f"python tools/kept/{name}.py")


def measured(chapter: Path, data: str, size: str) -> list[dict]:
    """The records of a chapter's claims, as `companion.book.claims` makes them."""
    os.environ |= {
        "COMPANION_DATASET": data,
        "NETWORK_GEOMETRY_FULL": size,
        "COMPANION_PROGRESS": "0",
    }
    notebook = nbformat.read(chapter, 4)
    # The cell that shows the kept result cannot run before there is one.
    notebook.cells = [cell for cell in notebook.cells if "results.kept(" not in cell.source]
    NotebookClient(
        notebook, timeout=7200, resources={"metadata": {"path": chapter.parent}}
    ).execute()
    return [
        output.metadata["network-geometry-claim"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "network-geometry-claim" in output.get("metadata", {})
    ]


def _short(record: dict) -> dict:
    tests = {
        word: {name: float(f"{record[word][name]:.4g}") for name in ("mean", "low", "high")}
        for word in ("effect", "control", "rival")
        if record[word]
    }
    return {"verdict": record["verdict"], "bound": record["effect"]["bound"], **tests}
