"""Execute a chapter in the size of an hour and keep what its claims measured.

    python tools/keep.py distances/metric_structure

The chapter itself is executed, on each of its data sets, two side by side, so that what is kept
was measured by the code that the reader sees, on one machine, by one command. The data sets are
digits and MNIST, or those that the chapter names: KEPT_ON = "digits", "mnist", "cifar10-small".
Networks come from the cache; missing ones are trained. The result lies in companion/book/results,
under the chapter's name; it is written as each data set ends, so that a failure on one leaves the
others. With --strict a verdict or a caption that is not as recorded stops its run, as in a build.
"""

import argparse
import ast
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat

import kernels
from chapters import ROOT, chapters
from companion import run, storage
from companion.book import results
from companion.datasets.images import NAMES
from execute import selected
from normalize import parsed

__all__ = ["keep", "kept_on", "kept_values", "measured"]

IMAGES = ("digits", "mnist")
SIDE_BY_SIDE = 2
CLAIM = "network-geometry-claim"


def keep(chapter: Path, *, size: str, strict: bool = False) -> results.Kept:
    """Execute a chapter on each of its data sets and keep its claims under its name.

    Args:
        chapter: Path of the notebook, inside the checkout.
        size: One of `run.SIZES`.
        strict: Whether a verdict or a caption that is not as recorded stops the run.

    Returns:
        What was kept.

    Raises:
        FileNotFoundError: Where `companion` is not the checkout's, which is where it is kept.
        RuntimeError: For a data set on which the chapter failed; the others are kept by then.
    """
    if storage.checkout() != ROOT:
        raise FileNotFoundError(
            f"companion runs from {storage.checkout() or 'an installed package'}, but what is "
            "kept belongs into this checkout: install it with pip install -e, then run this again"
        )
    images = kept_on(nbformat.read(chapter, 4))
    name = chapter.relative_to(ROOT / "book").with_suffix("").as_posix()
    command = f"python tools/keep.py {name}" + (f" --size {size}" if size != "hour" else "")
    ended: dict[str, list[dict]] = {}
    failed: dict[str, BaseException] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=context) as pool:
        runs = {pool.submit(measured, chapter, data, size, strict): data for data in images}
        for one in as_completed(runs):
            if one.exception() is not None:
                failed[runs[one]] = one.exception()
                continue
            ended[runs[one]] = one.result()
            values = kept_values([ended[data] for data in images if data in ended])
            kept = results.keep(chapter.stem, values, size=size, command=command)
    if failed:
        raise RuntimeError(
            f"{name} failed on {', '.join(failed)}; kept: {', '.join(ended) or 'nothing'}. Mend "
            "it and run this again, or restore the older result from the repository:\n\n"
            + "\n\n".join(f"{data}: {error}" for data, error in failed.items())
        )
    return kept


def kept_on(notebook: dict) -> tuple[str, ...]:
    """The data sets that a chapter's kept run is made on.

    Args:
        notebook: As parsed JSON.

    Returns:
        What the one assignment to KEPT_ON in its code names, by default digits and MNIST.

    Raises:
        ValueError: For two assignments, for what is not written out, and for an unknown name.
    """
    found = [
        node.value
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for node in parsed("".join(cell["source"])).body
        if isinstance(node, ast.Assign)
        and [getattr(target, "id", None) for target in node.targets] == ["KEPT_ON"]
    ]
    if not found:
        return IMAGES
    try:
        (value,) = found
        named = ast.literal_eval(value)
    except ValueError:
        named = ()
    if not isinstance(named, tuple) or not named or not set(named) <= set(NAMES):
        raise ValueError(
            f"KEPT_ON is {', '.join(map(ast.unparse, found))}, but the data sets of a kept run "
            f"are needed: assign once a tuple of names written out, of {', '.join(NAMES)}"
        )
    return named


def measured(chapter: Path, data: str, size: str, strict: bool) -> list[dict]:
    """The records of a chapter's claims, as `companion.book.claims` makes them.

    Args:
        chapter: Path of the notebook.
        data: The data set.
        size: One of `run.SIZES`.
        strict: Whether a verdict or a caption that is not as recorded stops the run.

    Returns:
        One record for each claim, in the order of the chapter.
    """
    # By default it is not strict, whoever calls: a run of another size may well give other
    # verdicts, and is to be kept, not to be stopped.
    os.environ |= {
        run.VARIABLE: run.ASKED[size],
        "COMPANION_DATASET": data,
        "COMPANION_PROGRESS": "0",
        "COMPANION_STRICT": str(int(strict)),
    }
    notebook = nbformat.read(chapter, 4)
    # The cell that shows the kept result cannot run before there is one.
    notebook.cells = [cell for cell in notebook.cells if "results.kept(" not in cell.source]
    kernels.run(notebook, chapter.parent, timeout=None)
    return [
        output.metadata[CLAIM]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if CLAIM in output.get("metadata", {})
    ]


def kept_values(runs: list[list[dict]]) -> dict[str, dict[str, dict]]:
    """What is kept of the records of several runs.

    Args:
        runs: The records of each run.

    Returns:
        By data set (toy sets, and what is always measured on digits, are under their own names)
        and claim: the verdict and each test as in its record, numbers to four digits.
    """
    values: dict[str, dict[str, dict]] = {}
    for record in (record for records in runs for record in records):
        data, _ = run.split(record["data"])
        values.setdefault(data, {})[record["key"].partition("/")[2]] = _short(record)
    return values


def _short(record: dict) -> dict:
    words = ("effect", "control", "rival")
    return {"verdict": record["verdict"]} | {
        word: record[word] and {name: _rounded(name, part) for name, part in record[word].items()}
        for word in words
    }


def _rounded(name: str, part: object) -> object:
    if name in ("values", "other") and part is not None:
        return [_digits(value) for value in part]
    return _digits(part) if name in ("mean", "low", "high") else part


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("chapter", metavar="PART/CHAPTER", help="as in distances/metric_structure")
    parser.add_argument("--size", choices=run.SIZES, default="hour")
    parser.add_argument(
        "--strict", action="store_true", help="stop at what is not as recorded, as a build does"
    )
    options = parser.parse_args(arguments)
    try:
        (chapter,) = selected(chapters(), options.chapter)
        print(keep(chapter, size=options.size, strict=options.strict))
    except (FileNotFoundError, ValueError, RuntimeError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
