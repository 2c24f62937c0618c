"""Execute the chapters that are not in the notebook cache, two at a time.

The page builder runs one notebook after another. Executed here first, into the cache it reads,
all of them are found there and nothing runs twice. A chapter that fails leaves nothing in the
cache, so that it fails again until it is mended.

    python tools/execute.py [--only distances/metric_structure]
"""

import argparse
import math
import os
import re
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient.exceptions import CellExecutionError, CellTimeoutError

import kernels
from chapters import ROOT, chapters
from companion import run

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import chaptercache  # noqa: E402

__all__ = ["execute", "selected"]

CELL_SECONDS = 600
# What Binder gives is 2 GB, for the kernel and the server beside it.
MOST_MEGABYTES = 1500
SHOWN_LINES = 25
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def selected(paths: list[Path], name: str | None, root: Path = ROOT) -> list[Path]:
    """The chapters to execute: all, or the one called `name` (with or without `book/`, suffix)."""
    if name is None:
        return paths
    wanted = name.removeprefix("book/").removesuffix(".ipynb")
    known = {_name(path, root).removeprefix("book/"): path for path in paths}
    if wanted not in known:
        raise ValueError(
            f"no chapter is called {wanted!r}: a name from _toc.yml is needed, "
            f"take one of {', '.join(known) or '(none yet)'}."
        )
    return [known[wanted]]


def execute(paths: list[Path], root: Path = ROOT, *, workers: int = 2) -> list[str]:
    """Execute into their caches the chapters that are not in them yet.

    Prints a line for each chapter with its seconds and the most memory that its kernel held; on
    digits, at the size of the build, one that needs more than `MOST_MEGABYTES` fails. Only this
    process writes to the caches.

    Args:
        paths: The notebooks, inside the checkout.
        root: The checkout.
        workers: How many at a time.

    Returns:
        One text for each chapter that failed.
    """
    # Now, since what is edited while the chapters run belongs to their next execution.
    caches = {path: _cache(root, path) for path in paths}
    missing = [path for path in paths if not _cached(caches[path], path)]
    for path in paths:
        if path not in missing:
            print(f"{_name(path, root)}: from the cache", flush=True)
    if not missing:
        return []
    failures = []
    with ProcessPoolExecutor(min(workers, len(missing))) as pool:
        runs = {pool.submit(_run, path): path for path in missing}
        for done in as_completed(runs):
            failures += _kept(caches[runs[done]], done, runs[done], root)
    return failures


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _cache(root: Path, path: Path) -> JupyterCacheAbstract:
    cache = get_cache(chaptercache.folder(root, path))
    # Of the same imports with other cells, too, only the states used last are kept.
    cache.change_cache_limit(chaptercache.KEPT)
    return cache


def _cached(cache: JupyterCacheAbstract, path: Path) -> bool:
    try:
        cache.match_cache_notebook(nbformat.read(path, as_version=4))
    except KeyError:
        return False
    return True


def _most_megabytes() -> float:
    """No more than `MOST_MEGABYTES` for what Binder runs, digits at the size of the build."""
    digits = os.environ.get("COMPANION_DATASET", "digits") == "digits"
    return run.pick(build=MOST_MEGABYTES, hour=math.inf) if digits else math.inf


def _run(path: Path) -> tuple[nbformat.NotebookNode, float, int | None, str | None]:
    notebook = nbformat.read(path, as_version=4)
    error, peak, start = None, None, time.perf_counter()
    try:
        peak = kernels.run(notebook, path.parent, timeout=run.pick(build=CELL_SECONDS, hour=None))
    except (CellExecutionError, CellTimeoutError) as failed:
        error = str(failed)
    return notebook, time.perf_counter() - start, peak, error


def _kept(cache: JupyterCacheAbstract, done: Future, path: Path, root: Path) -> list[str]:
    name = _name(path, root)
    try:
        notebook, seconds, peak, error = done.result()
    except BrokenProcessPool:
        return [f"{name}: the process that ran it was stopped (out of memory?)"]
    except Exception as stopped:  # a kernel that died has no traceback to show
        return [f"{name}: {type(stopped).__name__}: {stopped}"]
    if error is not None:
        lines = ANSI.sub("", error).strip().splitlines()
        return ["\n".join([f"{name}: failed", *lines[-SHOWN_LINES:]])]
    if peak is not None and peak > _most_megabytes():
        return [f"{name}: its kernel held {peak} MB, and on Binder {MOST_MEGABYTES} MB have to do"]
    cache.cache_notebook_bundle(
        CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds}),
        check_validity=False,
        overwrite=True,
    )
    memory = "" if peak is None else f", {peak} MB"
    print(f"{name}: executed in {seconds:.0f} s{memory}", flush=True)
    return []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", help="one chapter: distances/metric_structure")
    options = parser.parse_args(arguments)
    try:
        paths = selected(chapters(), options.only)
    except ValueError as error:
        print(error)
        return 1
    failures = execute(paths)
    for failure in failures:
        print(f"\n{failure}", flush=True)
    if failures:
        print(f"\n{len(failures)} of {len(paths)} chapters failed: mend what is named above.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
