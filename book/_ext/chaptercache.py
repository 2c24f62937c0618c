"""Where the executed chapters are kept, and when they have to be executed again.

The notebook cache compares a chapter's own cells only. What else a chapter rests on (the package,
the lock, the data set, the size of the run) goes into the name of the cache's folder, so that
`key` answers one question: may a chapter executed before be shown as if it were executed now?

Standard library only: the script that executes the chapters imports this module, too.
"""

import hashlib
import os
import shutil
from pathlib import Path

__all__ = ["KEPT", "data_files", "folder", "key", "package_key"]

# Going back and forth between two data sets and two states of the package stays free of cost.
KEPT = 4

FILES = ("constraints.txt", "pyproject.toml")
VARIABLES = ("COMPANION_DATASET", "COMPANION_STRICT", "NETWORK_GEOMETRY_FULL")

# The places of torchvision's layout and the small CIFAR-10 file. Networks that training leaves in
# the same folder are not data: they follow from what the key holds already.
DATA = {
    "mnist": "MNIST/raw/*",
    "fashion-mnist": "FashionMNIST/raw/*",
    "cifar10": "cifar-10-batches-py/*",
    "cifar10-small": "cifar10-small.npz",
}


def key(root: Path | str) -> str:
    """Checksum of all that a chapter rests on besides its own cells (20 hex digits).

    Covers every file below `companion/` (kept results and scripts included, byte code not), the
    lock, the project file, the variables that choose data set, strictness and size, and names
    and sizes of the data files at hand. Reads the package once: a few milliseconds.
    """
    root = Path(root)
    digest = hashlib.sha256()
    _add(digest, package_key(root))
    for name in VARIABLES:
        _add(digest, f"{name}={os.environ.get(name, '')}")
    for name, size in data_files(root):
        _add(digest, f"{name} {size}")
    return digest.hexdigest()[:20]


def package_key(root: Path | str) -> str:
    """Checksum of package, lock and project file alone: the same for every data set."""
    root = Path(root)
    digest = hashlib.sha256()
    for path in [*_package_files(root / "companion"), *(root / name for name in FILES)]:
        _add(digest, path.relative_to(root).as_posix())
        _add(digest, path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()[:20]


def folder(root: Path | str) -> Path:
    """The cache's folder for the present `key`, created and marked as just used.

    All but the four folders used last are removed: going back to an earlier state of the package
    or to the other data set executes nothing again, and the disk does not fill.
    """
    place = Path(root).absolute() / "_build" / ".jupyter_cache" / key(root)
    place.mkdir(parents=True, exist_ok=True)
    os.utime(place)
    others = [path for path in place.parent.iterdir() if path.is_dir() and path != place]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in others[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
    return place


def data_files(root: Path | str) -> list[tuple[str, int]]:
    """Name and size in bytes of each data file in `COMPANION_DATA`, `COMPANION_CACHE`, `data/`.

    Of the data set that `COMPANION_DATASET` names; without one of all, since a chapter then takes
    what is there. Names are relative to their folder, and each is listed once: the same files in
    another place are the same data.
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


def _package_files(package: Path) -> list[Path]:
    return sorted(
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )


def _add(digest: "hashlib._Hash", part: str | bytes) -> None:
    # The length in front keeps "ab" + "c" apart from "a" + "bc".
    data = part.encode() if isinstance(part, str) else part
    digest.update(f"{len(data)}:".encode())
    digest.update(data)
