"""Where the executed chapters are kept, and when each has to be executed again.

The notebook cache compares a chapter's own cells only. What else it rests on (the modules that it
imports, the kept results that it shows, the lock, the data set, the size of the run) goes into the
name of a folder of its own, so that `key` answers one question: may this chapter, executed
before, be shown as if it were executed now?

No import but the standard library and `companion.run`, which is as light: the script that executes
the chapters imports this module, too.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from companion import run

__all__ = ["KEPT", "code_key", "data_files", "folder", "key", "rests_on"]

# Going back and forth between two data sets and two states of the package stays free of cost.
KEPT = 4

PACKAGE = "companion"
RESULTS = f"{PACKAGE}/book/results"
VARIABLES = ("COMPANION_DATASET", "COMPANION_STRICT")
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)

# The places of torchvision's layout and the small CIFAR-10 file. Networks that training leaves in
# the same folder are not data: they follow from what the key holds already.
DATA = {
    "mnist": "MNIST/raw/*",
    "fashion-mnist": "FashionMNIST/raw/*",
    "cifar10": "cifar-10-batches-py/*",
    "cifar10-small": "cifar10-small.npz",
}


def key(root: Path | str, chapter: Path | str) -> str:
    """Checksum of all that a chapter rests on besides its own cells (20 hex digits).

    Args:
        root: The checkout.
        chapter: Path of the notebook.

    Returns:
        A checksum over `code_key`, the variables that choose data set and strictness, the size of
        the run, and names and sizes of the data files at hand.

    Cost: half a second for the first chapter, some ten milliseconds for each further one.
    """
    digest = hashlib.sha256()
    _add(digest, code_key(root, chapter))
    _add(digest, f"size={run.size}")
    for name in VARIABLES:
        _add(digest, f"{name}={os.environ.get(name, '')}")
    for name, size in data_files(root):
        _add(digest, f"{name} {size}")
    return digest.hexdigest()[:20]


def code_key(root: Path | str, chapter: Path | str) -> str:
    """Checksum of the code that a chapter rests on: the same for every data set and size.

    Covers what `rests_on` lists (of a module all but its docstrings and comments, of any other
    file every byte), the versions of the lock, and the names of the package's dependencies. How
    the tests are set up, or what the package is called, cannot change what a chapter shows.

    Args:
        root: The checkout.
        chapter: Path of the notebook.

    Returns:
        20 hex digits.
    """
    root = Path(root)
    digest = hashlib.sha256()
    for path in rests_on(root, chapter):
        _add(digest, path.relative_to(root).as_posix())
        _add(digest, _module(path.read_bytes())[0] if path.suffix == ".py" else path.read_bytes())
    for line in _versions(root):
        _add(digest, line)
    return digest.hexdigest()[:20]


def rests_on(root: Path | str, chapter: Path | str) -> list[Path]:
    """The files of the package that a chapter uses, from the imports of its code cells.

    Args:
        root: The checkout.
        chapter: Path of the notebook.

    Returns:
        The modules imported by the chapter or by one of them, wherever the import stands, with the
        packages that they lie in, and the other files of those packages (scripts, kept results). A
        chapter that names its kept results, `results.kept("x")`, uses those only. Everything, if a
        cell is no Python.
    """
    root = Path(root)
    every = _files(root / PACKAGE)
    try:
        cells = ast.parse("\n".join(_code(Path(chapter))))
    except SyntaxError:
        return every
    modules = _closure(root, _imports(cells))
    shown = _shown_results(cells)
    return [
        path
        for path in every
        if (path in modules if path.suffix == ".py" else _owner(path) in modules)
        and (
            shown is None
            or path.suffix != ".json"
            or path.parent != root / RESULTS
            or path.stem in shown
        )
    ]


def folder(root: Path | str, chapter: Path | str) -> Path:
    """The folder of a chapter for its present `key`, created and marked as just used.

    All but the four folders of the chapter used last are removed: going back to an earlier state
    of the package or to the other data set executes nothing again, and the disk does not fill.

    Args:
        root: The checkout.
        chapter: Path of the notebook, inside the checkout.

    Returns:
        An absolute path, of a notebook cache with this one chapter.
    """
    root = Path(root).absolute()
    name = Path(chapter).absolute().relative_to(root).with_suffix("").as_posix()
    # Without slashes, so that no chapter's folder lies in that of another one.
    place = root / "_build" / ".jupyter_cache" / name.replace("/", ".") / key(root, chapter)
    place.mkdir(parents=True, exist_ok=True)
    os.utime(place)
    others = [path for path in place.parent.iterdir() if path.is_dir() and path != place]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in others[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
    return place


def data_files(root: Path | str) -> list[tuple[str, int]]:
    """Name and size in bytes of each data file in `COMPANION_DATA`, `COMPANION_CACHE`, `data/`.

    Args:
        root: The checkout.

    Returns:
        The files of the data set that `COMPANION_DATASET` names; without one of all, since a
        chapter then takes what is there. Names are relative to their folder, and each is listed
        once: the same files in another place are the same data.
    """
    chosen = os.environ.get("COMPANION_DATASET")
    patterns = [pattern for name, pattern in DATA.items() if chosen in (None, "", name)]
    places = [os.environ.get("COMPANION_DATA"), os.environ.get("COMPANION_CACHE")]
    places = [Path(place) for place in places if place] + [Path(root) / "data"]
    found = {
        (path.relative_to(place).as_posix(), path.stat().st_size)
        for place in places
        for pattern in patterns
        for path in place.glob(pattern)
        if path.is_file()
    }
    return sorted(found)


def _files(package: Path) -> list[Path]:
    return sorted(
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )


def _owner(path: Path) -> Path:
    """The `__init__` of the package that a file belongs to, however deep below it."""
    return next(
        place / "__init__.py" for place in path.parents if (place / "__init__.py").is_file()
    )


def _code(chapter: Path) -> list[str]:
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [MAGIC.sub(r"\1pass", source) for source in sources]


def _closure(root: Path, names: list[str]) -> set[Path]:
    """The files of these modules and of all that they import; names of no module are passed over.

    By hand rather than with grimp, which finds packages by importing and knows no other checkout;
    the syntax trees are needed for the checksums anyway. A test compares the two.
    """
    found, names = set(), list(names)
    while names:
        parts = names.pop().split(".")
        # Importing a.b.c runs a and a.b before it.
        for end in range(1, len(parts) + 1):
            stem = root.joinpath(*parts[:end])
            for path in (stem / "__init__.py", stem.with_suffix(".py")):
                if path.is_file() and path not in found:
                    found.add(path)
                    package = parts[: end if path.stem == "__init__" else end - 1]
                    names += [_absolute(name, package) for name in _module(path.read_bytes())[1]]
    return found


def _imports(tree: ast.AST) -> list[str]:
    """Names of what may be modules, with leading dots where the import is relative."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            joint = "." if node.module else ""
            found += [base, *(f"{base}{joint}{alias.name}" for alias in node.names)]
    return [name for name in found if name.partition(".")[0] in ("", PACKAGE)]


def _absolute(name: str, package: list[str]) -> str:
    plain = name.lstrip(".")
    level = len(name) - len(plain)
    return name if not level else ".".join([*package[: len(package) - level + 1], plain])


def _shown_results(cells: ast.AST) -> set[str] | None:
    """The kept results that the cells name, None if they use `results` in any other way."""
    nodes = list(ast.walk(cells))
    uses = {node for node in nodes if isinstance(node, ast.Name) and node.id == "results"}
    named = {
        call.func.value: call.args[0].value
        for call in nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.value in uses
        and call.func.attr == "kept"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    return set(named.values()) if named and uses == set(named) else None


@cache
def _module(text: bytes) -> tuple[str, tuple[str, ...]]:
    """Checksum of a module without docstrings and comments, and what it imports.

    A text that stands alone does nothing when it is run, and the syntax tree holds no comment;
    names, numbers, defaults and annotations are all in it.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return hashlib.sha256(text).hexdigest(), ()
    names = tuple(_imports(tree))
    return hashlib.sha256(ast.dump(_Spoken().visit(tree)).encode()).hexdigest(), names


class _Spoken(ast.NodeTransformer):
    """Takes away the texts that stand alone: docstrings, also those of attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node


def _versions(root: Path) -> Iterator[str]:
    lock, project = root / "constraints.txt", root / "pyproject.toml"
    for line in lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else ():
        if line.strip() and not line.startswith("#"):
            yield line.strip()
    if project.is_file():
        known = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        for line in known.get("dependencies", ()):
            yield re.match(r"[\w.-]*", line)[0]


def _add(digest: "hashlib._Hash", part: str | bytes) -> None:
    # The length in front keeps "ab" + "c" apart from "a" + "bc".
    data = part.encode() if isinstance(part, str) else part
    digest.update(f"{len(data)}:".encode())
    digest.update(data)
