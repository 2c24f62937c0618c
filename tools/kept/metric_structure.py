"""Run the chapter distances/metric_structure in its full size and keep what its claims measured.

    python tools/kept/metric_structure.py

The chapter itself is executed, with NETWORK_GEOMETRY_FULL=1 (ten seeds), so that what is kept was
measured by the code the reader sees. Networks come from the cache; missing ones are trained. Both
data sets are always run, so that all that is kept comes from one machine and one command.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from companion import results, storage

NAME = "metric_structure"
CHAPTER = Path("book/distances/metric_structure.ipynb")


def measured(chapter: Path, data: str) -> dict[str, dict]:
    """What the claims of a chapter measured: {claim: {test: {mean, low, high}, verdict}}."""
    os.environ |= {
        "COMPANION_DATASET": data,
        "NETWORK_GEOMETRY_FULL": "1",
        "COMPANION_PROGRESS": "0",
    }
    notebook = nbformat.read(chapter, 4)
    # The cell that shows the kept result cannot run before there is one.
    notebook.cells = [cell for cell in notebook.cells if "results.kept(" not in cell.source]
    NotebookClient(
        notebook, timeout=3600, resources={"metadata": {"path": chapter.parent}}
    ).execute()
    records = [
        output.metadata["network-geometry-claim"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "network-geometry-claim" in output.get("metadata", {})
    ]
    # What a chapter always measures on the digits would otherwise be kept twice.
    return {
        record["key"].partition("/")[2]: _short(record)
        for record in records
        if record["data"].removesuffix(" full") == data
    }


def _short(record: dict) -> dict:
    tests = {
        word: {name: float(f"{record[word][name]:.4g}") for name in ("mean", "low", "high")}
        for word in ("effect", "control", "rival")
        if record[word]
    }
    return {"verdict": record["verdict"], "bound": record["effect"]["bound"], **tests}


def main() -> None:
    root = storage.checkout()
    if root is None:
        sys.exit("No checkout: kept results belong into the repository, so run this from one.")
    values = {data: measured(root / CHAPTER, data) for data in ("digits", "mnist")}
    results.keep(NAME, values, command=f"python tools/kept/{NAME}.py")


if __name__ == "__main__":
    main()
