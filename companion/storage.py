"""The one way to disk: where files are kept, how they are written whole, and how they are named.

Everything the package keeps (downloads, trained networks) goes to one folder, is written under a
temporary name and renamed when complete, and is found again by a checksum of what it depends on.
Explained beside its first use in `book/distances/metric_structure`.
"""

import contextlib
import dataclasses
import errno
import hashlib
import os
import secrets
import struct
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import torch

__all__ = ["cache", "checkout", "checksum", "file_checksum", "written"]

_DISTRIBUTION = "network-geometry"
_NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_refused: set[Path] = set()


def checkout() -> Path | None:
    """The root of the repository if `companion` runs from one (an editable install), else None.

    >>> root = checkout()
    >>> root is None or (root / "companion").is_dir()
    True
    """
    root = Path(__file__).resolve().parents[1]
    project = root / "pyproject.toml"
    if project.is_file() and f'name = "{_DISTRIBUTION}"' in project.read_text(encoding="utf-8"):
        return root
    return None


def cache() -> Path | None:
    """The folder for downloads and trained networks, created if needed; None if not writable.

    `COMPANION_CACHE` if it is set; else `data/` of the checkout; else the user's cache folder of
    the operating system. Except for a relative `COMPANION_CACHE`, it does not depend on the
    working directory. A folder that cannot be written gives one warning per process, and callers
    then work without a cache.

    >>> import os
    >>> folder = cache()
    >>> folder is None or (folder.is_dir() and os.path.isabs(folder))
    True
    """
    named, root = os.environ.get("COMPANION_CACHE"), checkout()
    if named:
        folder = Path(named).expanduser().absolute()
    elif root is not None:
        folder = root / "data"
    else:
        folder = Path(platformdirs.user_cache_dir(_DISTRIBUTION))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A superuser passes every permission check, so only writing shows what can be written.
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        if folder not in _refused:
            _refused.add(folder)
            warnings.warn(
                f"the folder {folder} for downloads and trained networks cannot be written "
                f"({error.strerror}), so nothing is kept for the next run: point COMPANION_CACHE "
                f"at a folder that can be written.",
                stacklevel=2,
            )
        return None


@contextlib.contextmanager
def written(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once it is written completely.

    When the block ends the file is flushed to the disk and renamed onto `path`: a reader, or a
    second process that writes the same file at the same time, sees the whole old file or the whole
    new one. When the block raises, the temporary file is removed and `path` is as it was.

    Args:
        path: The file to be written; missing folders are made.

    Yields:
        A `Path` in the same folder, an empty file with the same suffix.

    Raises:
        OSError: For a disk that is full or a folder that cannot be written, also where a library
            reports the full disk as another error.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written(Path(folder) / "note.txt") as part:
    ...         _ = part.write_text("whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['note.txt']
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}-{secrets.token_hex(8)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.open("xb").close()  # created here, not by mkstemp, to get the user's usual file mode
    except OSError as error:
        raise OSError(error.errno, _sentence(path, error.strerror)) from error
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except Exception as error:
        if _is_full(error, part):
            raise OSError(errno.ENOSPC, _sentence(path, os.strerror(errno.ENOSPC))) from error
        raise
    finally:
        part.unlink(missing_ok=True)
    _flush_folder(path.parent)


def checksum(*parts: object) -> str:
    """What a result depends on, as 64 hexadecimal digits (SHA-256): equal content, equal name.

    Args:
        parts: Tensors (dtype, shape and bytes count; device, strides and `requires_grad` do not),
            `str`, `bytes`, `bool`, `int`, `float`, None, and tuples, lists, dicts and frozen
            dataclasses of these, nested. A tuple equals a list of the same items; the order of a
            dict does not count; 1, 1.0 and True differ.

    Returns:
        The digits.

    Raises:
        TypeError: For anything else among the parts.

    Cost: O(bytes) time, no copy of a contiguous tensor on the CPU.

    >>> checksum("digits", 0)[:8] == checksum("digits", 0)[:8] != checksum("digits", 1)[:8]
    True
    >>> checksum(torch.zeros(2)) == checksum(torch.zeros(2, 1))          # the shape counts
    False
    """
    return _digest(parts).hex()


def file_checksum(path: Path | str, algorithm: str = "md5") -> str:
    """The checksum of a file's bytes in hexadecimal digits, read in pieces (any size of file).

    Args:
        path: The file.
        algorithm: A name of `hashlib`; by default md5, which published data sets are known by.

    Returns:
        The digits.

    Raises:
        FileNotFoundError: For a path without a file.
        ValueError: For an algorithm that `hashlib` does not have.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     file_checksum(empty.name)
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    if algorithm not in hashlib.algorithms_available:
        raise ValueError(
            f"algorithm {algorithm!r} is not known: a name of hashlib is needed, "
            f"take 'md5' or 'sha256'."
        )
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no file {path}: a checksum needs an existing file, check the path."
        )
    with open(path, "rb") as file:
        # md5 finds damaged downloads here and protects nothing; the flag keeps it usable
        # on machines that forbid it for security.
        return hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()


def _digest(part: object) -> bytes:
    kind, pieces = _pieces(part)
    digest = hashlib.sha256()
    # Every piece carries its length, so that ("ab", "c") and ("a", "bc") differ.
    for piece in (kind.encode(), *pieces):
        digest.update(struct.pack("<Q", memoryview(piece).nbytes))
        digest.update(piece)
    return digest.digest()


def _pieces(part: object) -> tuple[str, list]:
    if isinstance(part, torch.Tensor):
        raw = part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return "tensor", [str(part.dtype).encode(), repr(tuple(part.shape)).encode(), raw]
    if part is None or isinstance(part, (bool, int)):
        return type(part).__name__, [repr(part).encode()]
    if isinstance(part, float):
        return "float", [float(part).hex().encode()]
    if isinstance(part, str):
        return "str", [part.encode()]
    if isinstance(part, bytes):
        return "bytes", [part]
    if isinstance(part, (tuple, list)):
        return "sequence", [_digest(item) for item in part]
    if isinstance(part, dict):
        items = sorted((_digest(key), _digest(part[key])) for key in part)
        return "dict", [digest for item in items for digest in item]
    if _is_frozen(part):
        fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        return type(part).__qualname__, [_digest(fields)]
    raise TypeError(
        f"a {type(part).__name__} has no checksum: tensors, str, bytes, bool, int, float, None "
        f"and tuples, lists, dicts and frozen dataclasses of these are needed, convert it to one."
    )


def _is_frozen(part: object) -> bool:
    parameters = getattr(type(part), "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


def _sentence(path: Path, reason: str | None) -> str:
    return (
        f"{path} was not written ({reason}): room on the disk and a folder that can be written "
        f"are needed, free some space or point COMPANION_CACHE at another folder."
    )


def _is_full(error: Exception, part: Path) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_ROOM
    # torch.save reports a full disk as a RuntimeError, numpy as an OSError without a number.
    return isinstance(error, (OSError, RuntimeError)) and _free(part.parent) < 2**16


def _free(folder: Path) -> int:
    if not hasattr(os, "statvfs"):
        return 2**63
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    # The new name itself survives a power cut only when its folder is flushed, where that exists.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def __dir__() -> list[str]:
    return __all__
