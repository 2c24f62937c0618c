"""The ledger: what the executed chapters claimed and measured, kept per data set.

A chapter leaves its records in the metadata of cell outputs. They are read from the executed
notebooks and written to one file per data set, so that a build on one data set still shows what
the last build on the other found.
"""

import hashlib
import json
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from companion import run

__all__ = [
    "IMAGES",
    "Claim",
    "Column",
    "claims",
    "column_names",
    "columns",
    "complaints",
    "dataset",
    "load",
    "read",
    "write",
]

CLAIM, COLUMN = "network-geometry-claim", "network-geometry-column"

# Claims on any other data set are about a constructed one, the same in every build.
IMAGES = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar10-small")


@dataclass(frozen=True)
class Claim:
    """One claim of the book and its runs: `runs[data set]` is a record, or None where not run."""

    key: str
    doc: str
    runs: dict[str, dict | None]

    @property
    def record(self) -> dict:
        """The first run at hand: it holds the words, which are the same in all of them."""
        return next(run for run in self.runs.values() if run)


@dataclass(frozen=True)
class Column:
    """One column of the report card on one data set: `values[network]` has a number per seed."""

    name: str
    doc: str
    values: dict[str, list[float]]


def dataset() -> str:
    """What this build runs: its data set, with the size behind it if that is not the build's."""
    return run.name(os.environ.get("COMPANION_DATASET") or "digits")


def read(notebook: dict, doc: str, package: str = "") -> dict:
    """What one executed chapter says: `claims`, `columns`, and the `cells` that had to say it.

    Every entry carries its chapter (`doc`) and a checksum of all code up to and in its cell
    (`cell`), so that what an earlier wording or an earlier way of measuring gave is never shown
    beside the present one. `package` is a checksum of what the code imports.
    """
    found = {"claims": [], "columns": [], "cells": []}
    so_far = hashlib.sha256(package.encode())
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        so_far.update("".join(cell["source"]).encode() + b"\0")
        checksum = so_far.hexdigest()[:16]
        place = {"doc": doc, "cell": checksum}
        for kind, name in (("claim", "key"), ("column", "name")):
            if kind in cell["metadata"]:
                found["cells"].append({"kind": kind, name: cell["metadata"][kind], **place})
        for output in cell.get("outputs", []):
            metadata = output.get("metadata", {})
            if CLAIM in metadata:
                found["claims"].append({**metadata[CLAIM], **place})
            if COLUMN in metadata:
                found["columns"].append({**metadata[COLUMN], **place})
    return found


def complaints(found: dict) -> list[str]:
    """One sentence for each key or name used twice, and for each cell that left no record."""
    said = []
    for kind, name, entries in (
        ("claim", "key", found["claims"]),
        ("column", "name", found["columns"]),
    ):
        counts = Counter(entry[name] for entry in entries)
        for value in (value for value, count in counts.items() if count > 1):
            docs = ", ".join(dict.fromkeys(e["doc"] for e in entries if e[name] == value))
            said.append(
                f"{kind} {value!r} is recorded {counts[value]} times (in {docs}): every {kind} "
                f"needs a {name} of its own, so rename one."
            )
        for cell in found["cells"]:
            if cell["kind"] == kind and cell[name] not in counts:
                said.append(
                    f"the cell of {kind} {cell[name]!r} in {cell['doc']} left no record: it must "
                    f"show one {kind} with the {name} in its metadata, so run it or mend it."
                )
    return said


def write(folder: Path, name: str, found: dict) -> Path:
    """Write one data set's ledger in one step: whoever reads it meets the old or the new one."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1, ensure_ascii=False)
        os.replace(temporary, folder / f"{name}.json")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return folder / f"{name}.json"


def load(folder: Path) -> dict[str, dict]:
    """All ledgers at hand by data set: digits and mnist first, the others by name."""
    order = {name: place for place, name in enumerate(IMAGES)}
    paths = sorted(
        Path(folder).glob("*.json"), key=lambda path: (order.get(path.stem, 99), path.stem)
    )
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def claims(ledgers: dict[str, dict], present: str) -> list[Claim]:
    """The claims of the book as it stands, in reading order, with their runs side by side.

    `present` names the ledger of this build: its cells say which claims there are. A run of
    another build counts only if the code up to its cell has not changed since.
    """
    cells = {c["key"]: c for c in ledgers[present]["cells"] if c["kind"] == "claim"}
    cells |= {c["key"]: c for c in ledgers[present]["claims"]}
    valid = {
        name: [c for c in ledger["claims"] if c["cell"] == cells.get(c["key"], {}).get("cell")]
        for name, ledger in ledgers.items()
    }
    shown = column_names(valid)
    rows = [
        Claim(key, cell["doc"], {name: _run(valid, key, name) for name in shown})
        for key, cell in cells.items()
    ]
    return [row for row in rows if any(row.runs.values())]


def columns(ledgers: dict[str, dict], present: str) -> dict[str, list[Column]]:
    """The report card of each data set: its columns in reading order.

    A column of another build counts only if the code up to its cell has not changed since.
    """
    cells = {c["name"]: c for c in ledgers[present]["cells"] if c["kind"] == "column"}
    cells |= {c["name"]: c for c in ledgers[present]["columns"]}
    return {
        name: [
            Column(entry["name"], entry["doc"], entry["values"])
            for key, cell in cells.items()
            for entry in ledger["columns"]
            if entry["name"] == key and entry["cell"] == cell["cell"]
        ]
        for name, ledger in ledgers.items()
    }


def column_names(valid: dict[str, list[dict]]) -> list[str]:
    """The runs to show side by side: digits and mnist always, others where they were made."""
    also = [entry["data"] for entries in valid.values() for entry in entries]
    also = [name for name in also if run.split(name)[0] in IMAGES]
    return list(dict.fromkeys(["digits", "mnist", *sorted(valid, key=_size), *also]))


def _size(name: str) -> int:
    return run.SIZES.index(run.split(name)[1])


def _run(valid: dict[str, list[dict]], key: str, name: str) -> dict | None:
    """The record of a claim for one column, from that data set's own build if it has one."""
    builds = [valid.get(name, []), *(entries for other, entries in valid.items() if other != name)]
    entries = [entry for build in builds for entry in build if entry["key"] == key]
    named = [entry for entry in entries if entry["data"] == name]
    toys = [
        entry
        for entry in entries
        if run.split(entry["data"])[0] not in IMAGES and _size(entry["data"]) == _size(name)
    ]
    return next(iter(named + toys), None)
