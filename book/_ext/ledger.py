"""The ledger: what the executed chapters claimed and measured, and what longer runs found.

A chapter leaves its records in the metadata of cell outputs. They are read from the executed
notebooks and written to one file per build, so that a build on one data set still shows what the
last build on the other found. Beside them stand the kept results of the package, whatever was
built.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

from companion import run
from companion.book import results

__all__ = [
    "IMAGES",
    "NOT_RUN",
    "ROLES",
    "Claim",
    "Column",
    "Run",
    "claims",
    "columns",
    "complaints",
    "dataset",
    "kept",
    "kept_run",
    "load",
    "read",
    "write",
]

CLAIM, COLUMN = "network-geometry-claim", "network-geometry-column"

# Claims on any other data set are about a constructed one, the same in every build.
IMAGES = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar10-small")


ROLES = ("effect", "control", "rival")
NOT_RUN = "not run"


@dataclass(frozen=True)
class Run:
    """What one run says of a claim: its tests by role, and the run they come from.

    `date` is that of a kept run, None for a build; `recorded` is the verdict that the chapter
    expected of a build.
    """

    verdict: str
    tests: dict[str, dict]
    size: str
    date: str | None = None
    recorded: str | None = None

    @classmethod
    def of(cls, found: dict, **origin: str) -> "Run":
        """A run from a record of `claims.check` or from a kept result of one claim."""
        tests = {role: found[role] for role in ROLES if found.get(role)}
        return cls(found["verdict"], tests, **origin)


@dataclass(frozen=True)
class Claim:
    """One claim of the book: its words, and for each data set its runs from small to large.

    A data set without a run is there where other claims of the chapter have one.
    """

    key: str
    doc: str
    says: str
    paper: str
    because: str
    runs: dict[str, tuple[Run, ...]]

    def verdict(self, data: str) -> str:
        """What the largest run on a data set says, a kept one before a build of the same size."""
        return self.runs[data][-1].verdict if self.runs[data] else NOT_RUN


@dataclass(frozen=True)
class Column:
    """One column of the report card on one data set: `values[network]` has a number per seed."""

    name: str
    doc: str
    unit: str
    more_means: str
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


def kept(docs: Iterable[str]) -> dict[str, results.Kept]:
    """The kept results of these pages; one without them is left out."""
    found = {}
    for doc in docs:
        # Only a page that nothing was kept of is passed over: a broken file stops the build.
        with contextlib.suppress(FileNotFoundError):
            found[doc] = results.kept(PurePosixPath(doc).name)
    return found


def kept_run(kept: dict[str, results.Kept], record: dict) -> Run | None:
    """The kept run of a recorded claim on the record's data set; None if there is none."""
    return _kept(kept, record["doc"], record["key"]).get(run.split(record["data"])[0])


def claims(
    ledgers: dict[str, dict], present: str, kept: dict[str, results.Kept] | None = None
) -> list[Claim]:
    """The claims of the book as it stands, in reading order, with all their runs.

    `present` names the ledger of this build: its cells say which claims there are. A run of
    another build counts only if the code up to its cell has not changed since.
    """
    cells = {c["key"]: c for c in ledgers[present]["cells"] if c["kind"] == "claim"}
    cells |= {c["key"]: c for c in ledgers[present]["claims"]}
    found = []
    for key, cell in cells.items():
        built = _built(ledgers, present, key, cell["cell"])
        if built:
            record = next(iter(built.values()))
            words = (record[word] for word in ("says", "paper", "because"))
            found.append(
                Claim(key, cell["doc"], *words, _runs(built, kept or {}, cell["doc"], key))
            )
    images = {claim.doc: set(IMAGES[:2]) for claim in found}
    for claim in found:
        images[claim.doc] |= claim.runs.keys() & set(IMAGES)
    return [_with_gaps(claim, images[claim.doc]) for claim in found]


def columns(ledgers: dict[str, dict], present: str) -> dict[str, list[Column]]:
    """The report card of each data set: accuracy first, the other columns in reading order.

    A column of another build counts only if the code up to its cell has not changed since.
    """
    cells = {c["name"]: c for c in ledgers[present]["cells"] if c["kind"] == "column"}
    cells |= {c["name"]: c for c in ledgers[present]["columns"]}
    order = sorted(cells, key=lambda name: name != "accuracy")
    return {
        build: [
            Column(**{field.name: entry[field.name] for field in fields(Column)})
            for name in order
            for entry in ledger["columns"]
            if entry["name"] == name and entry["cell"] == cells[name]["cell"]
        ]
        for build, ledger in ledgers.items()
    }


def _built(ledgers: dict[str, dict], present: str, key: str, cell: str) -> dict[str, dict]:
    """The records of a claim by the name of the run, each from its own build if there is one."""
    found: dict[str, dict] = {}
    for build in [present, *ledgers]:
        for entry in ledgers[build]["claims"]:
            fits = entry["key"] == key and entry["cell"] == cell
            if fits and (entry["data"] not in found or entry["data"] == build):
                found[entry["data"]] = entry
    return found


def _runs(
    built: dict[str, dict], kept: dict[str, results.Kept], doc: str, key: str
) -> dict[str, tuple[Run, ...]]:
    runs: dict[str, list[Run]] = {}
    for name, record in built.items():
        data, size = run.split(name)
        runs.setdefault(data, []).append(Run.of(record, size=size, recorded=record["recorded"]))
    for data, one in _kept(kept, doc, key).items():
        runs.setdefault(data, []).append(one)
    ranked = {data: sorted(some, key=_rank) for data, some in runs.items()}
    return {data: tuple(some) for data, some in ranked.items()}


def _kept(kept: dict[str, results.Kept], doc: str, key: str) -> dict[str, Run]:
    """The kept runs of a claim by data set; what is kept lacks the chapter before the key."""
    if doc not in kept:
        return {}
    name, origin = key.partition("/")[2], {"size": kept[doc].size, "date": kept[doc].date}
    sets = kept[doc].values.items()
    return {data: Run.of(found[name], **origin) for data, found in sets if name in found}


def _rank(one: Run) -> tuple[int, bool]:
    return run.SIZES.index(one.size), one.date is not None


def _with_gaps(claim: Claim, images: set[str]) -> Claim:
    """The claim with its data sets in order, and those of its chapter that it was not run on.

    A claim on a constructed set is about that set: it has no gap on images.
    """
    wanted = set(claim.runs) | (images if claim.runs.keys() & set(IMAGES) else set())
    order = [*filter(wanted.__contains__, IMAGES), *sorted(wanted - set(IMAGES))]
    return replace(claim, runs={data: claim.runs.get(data, ()) for data in order})
