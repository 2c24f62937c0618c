"""Kept results: numbers of runs too long for a build, with where and how they were made.

Each lies beside this file as NAME.json and is part of the package, so that a chapter can show it
on any machine and say what it is. They are made by `python tools/keep.py PART/CHAPTER`, from a
checkout, in the size that two cores finish in an hour.
`book/distances/metric_structure` tells measured numbers from kept ones.
"""

__all__ = ["Kept", "keep", "kept"]

import datetime
import html
import json
import math
import os
import platform
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy
import torch

from companion import run, storage

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Kept:
    """A kept result: what was measured, and the run it comes from.

    Attributes:
        name: Its file's name without .json.
        size: That of the run, one of `run.SIZES`.
        values: Plain JSON by data set and claim: the verdict, and effect, control and rival with
            their values per seed, intervals and bounds (in the units of the claims).
        machine: Processor, cores, threads used, accelerator (None without one).
        versions: Of python, torch, numpy.
        date: The day, as ISO writes it.
        command: What makes it anew.
    """

    name: str
    size: str
    values: dict
    machine: dict
    versions: dict
    date: str
    command: str

    def __str__(self) -> str:
        return f"kept result {self.name}: {_brief(list(self.values))}\n" + "\n".join(
            f"  {word}: {text}" for word, text in self._origin()
        )

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        values = "".join(_row(word, _brief(value)) for word, value in self.values.items())
        origin = "".join(_row(word, text) for word, text in self._origin())
        return (
            '<div class="ng-kept" style="overflow-x: auto"><table>'
            f"<caption>Kept result {self.name}: not computed on this page, but read from a file "
            f"made on {self.date}.</caption><tbody>{values}</tbody><tbody>{origin}</tbody>"
            "</table></div>"
        )

    def _origin(self) -> list[tuple[str, str]]:
        machine = self.machine
        cores = f"{machine['cores']} cores, threads used: {machine['threads']}"
        where = [machine["processor"], cores, machine.get("accelerator")]
        return [
            ("size", self.size),
            ("machine", ", ".join(part for part in where if part)),
            ("versions", ", ".join(f"{word} {v}" for word, v in self.versions.items())),
            ("date", self.date),
            ("command", self.command),
        ]


def kept(name: str) -> Kept:
    """Read a kept result (units: those of the claims that it holds).

    Args:
        name: That of its file, without .json: the chapter's.

    Returns:
        What was measured, and the run it comes from.

    Raises:
        FileNotFoundError: Where there is none; the sentence lists those there are.
        ValueError: For a file that is cut off, altered beyond reading, or lacks a field.

    >>> kept("no-such-result")                                      # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: there is no kept result 'no-such-result', ...
    """
    path = _path(name)
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in _folder().glob("*.json"))) or "none yet"
        raise FileNotFoundError(
            f"there is no kept result {name!r}, only these: {there}; name one of them, or make "
            "it with python tools/keep.py PART/CHAPTER"
        )
    wanted = [field.name for field in fields(Kept) if field.name != "name"]
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Kept(name=name, **{word: record[word] for word in wanted})
    except (ValueError, KeyError, TypeError) as reason:
        raise ValueError(
            f"the kept result {name!r} cannot be read ({type(reason).__name__}: {reason}), but "
            f"JSON with the fields {', '.join(wanted)} is needed: restore {path.name} from the "
            "repository, or make it anew with python tools/keep.py PART/CHAPTER"
        ) from None


def keep(name: str, values: dict, *, size: str, command: str) -> Kept:
    """Write a kept result into the checkout, with the machine, the versions and the date.

    Args:
        name: That of its file, without .json: the chapter's.
        values: Plain JSON: a dictionary with text keys, of numbers, texts, truth values, None,
            lists and such dictionaries (tuples become lists).
        size: That of the run, one of `run.SIZES`.
        command: What makes the result anew.

    Returns:
        The result, as read back.

    Raises:
        FileNotFoundError: Outside a checkout.
        ValueError: For NaN, infinity, an unknown size, a malformed name or an empty command.
        TypeError: For what JSON does not have.

    Of the machine are kept processor, cores, threads used and accelerator, neither its name nor a
    path. An older result of that name is replaced at once or, on an error, not at all.

    >>> keep("demo", {"auc": float("nan")}, size="hour", command="python tools/keep.py part/demo")
    Traceback (most recent call last):
    ValueError: values['auc'] is nan, but JSON has finite numbers only: leave it out or write None
    """
    path = _path(name)
    if not (isinstance(values, dict) and values):
        raise TypeError(
            f"values is {_brief(values)} ({type(values).__name__}), but a dictionary that is not "
            "empty is needed: name each number, as in {'auc': 0.9}"
        )
    if size not in run.SIZES:
        raise ValueError(
            f"size is {size!r}, but a run has one of three sizes: pass one of "
            f"{', '.join(map(repr, run.SIZES))}"
        )
    if not (isinstance(command, str) and command.strip()):
        raise ValueError(
            f"command is {command!r}, but a reader must be able to make the result anew: pass "
            "the command line that makes it"
        )
    _check_json(values, "values")
    if storage.checkout() is None:
        raise FileNotFoundError(
            f"companion runs from an installed package, but the kept result {name!r} belongs "
            "into the repository: run the command in a checkout installed with pip install -e"
        )
    record = {
        "size": size,
        "values": values,
        "machine": _machine(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "date": datetime.date.today().isoformat(),
        "command": command,
    }
    with storage.written(path) as temporary:
        text = json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return kept(name)


def _folder() -> Path:
    return Path(__file__).parent


def _path(name: str) -> Path:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError(
            f"the name of a kept result is {name!r}, but it becomes a file's name: use letters, "
            "digits, - and _ only"
        )
    return _folder() / f"{name}.json"


def _machine() -> dict:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    # platform.processor() is empty or just "x86_64" on Linux, where the model stands in a file.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _check_json(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"{where} has the key {key!r} ({type(key).__name__}), but JSON has text keys "
                    "only: write it as a text"
                )
            _check_json(part, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            _check_json(part, f"{where}[{place}]")
    # Exact types: NumPy's float64 is a float as well, yet its float32 is not.
    elif type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(
            f"{where} is a {type(value).__name__}, but plain JSON is needed: turn tensors and "
            "arrays into lists with .tolist(), single numbers with .item()"
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{where} is {value}, but JSON has finite numbers only: leave it out or write None"
        )


def _row(word: str, text: str) -> str:
    # On each cell, since JupyterLab sets its own cells to the right and in the middle.
    look = 'style="text-align: left; vertical-align: top"'
    cells = f'<th scope="row" {look}>{html.escape(word)}</th><td {look}>{html.escape(text)}</td>'
    return f"<tr>{cells}</tr>"


def _brief(value: object, inside: bool = False) -> str:
    if isinstance(value, dict):
        # One level is shown: the claims of a data set by name, not all that each of them holds.
        shown = (
            list(value) if inside else [f"{k}: {_brief(part, True)}" for k, part in value.items()]
        )
        return "{" + _first(shown) + "}"
    if isinstance(value, (list, tuple)):
        return _first([_brief(part, True) for part in value])
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _first(shown: list[str]) -> str:
    head = ", ".join(shown[:6])
    return head if len(shown) <= 6 else f"{head}, … ({len(shown)} in all)"


def __dir__() -> list[str]:
    return __all__
