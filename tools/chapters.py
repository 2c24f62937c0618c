"""The chapters of the book: the notebooks that _toc.yml names, in reading order.

Run as a script, it prints them one a line, relative to the repository.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

__all__ = ["ROOT", "chapters"]

ROOT = Path(__file__).resolve().parents[1]


def chapters(root: Path = ROOT) -> list[Path]:
    """Absolute paths of the notebooks in `_toc.yml`; pages in Markdown are left out."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    paths = [root / f"{name.removesuffix('.ipynb')}.ipynb" for name in _names(toc)]
    return [path for path in paths if path.is_file()]


def _names(entry: dict) -> Iterator[str]:
    for key in ("root", "file"):
        if key in entry:
            yield entry[key]
    for key in ("parts", "subtrees", "chapters", "sections", "entries"):
        for below in entry.get(key) or ():
            yield from _names(below)


if __name__ == "__main__":
    for chapter in chapters():
        print(chapter.relative_to(ROOT).as_posix())
