"""Downloads that give up on a silent server and keep nothing that is not the published file.

Used by `images`, which says where files come from.
"""

import contextlib
import http.client
import io
import socket
from collections.abc import Iterator
from pathlib import Path

from companion import progress, storage

__all__ = ["compare", "from_any", "patient"]

_PATIENCE = 15.0  # seconds without an answer or a byte before a download is given up


def from_any(urls: list[str], path: Path, md5: str) -> None:
    """Download to `path` from the first address that answers with the right file.

    Args:
        urls: Addresses, tried in this order.
        path: Where the file is to lie.
        md5: The checksum of the published file.

    Raises:
        OSError: What the first address gave, where none had the file; also as the RuntimeError or
            HTTPException of the library.
    """
    from torchvision.datasets import utils

    errors = []
    for url in urls:
        try:
            utils.download_url(url, str(path.parent), filename=path.name, md5=md5)
            return compare(path, md5)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            errors.append(error)
    raise errors[0]


def compare(path: Path, md5: str) -> None:
    """Refuse a file that is not the published one.

    Args:
        path: The file.
        md5: The checksum of the published one.

    Raises:
        RuntimeError: For another checksum.
    """
    if storage.file_checksum(path) != md5:
        raise RuntimeError(f"{path.name} arrived truncated or altered")


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Give up on a silent server, and keep torchvision's own bar quiet where ours would be."""
    before = socket.getdefaulttimeout()
    hush = contextlib.redirect_stderr(io.StringIO()) if progress.quiet() else None
    socket.setdefaulttimeout(_PATIENCE)  # torchvision offers no timeout and would wait for ever
    try:
        with hush or contextlib.nullcontext():
            yield
    finally:
        socket.setdefaulttimeout(before)
