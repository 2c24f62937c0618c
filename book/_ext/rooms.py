"""The pages of the package: a table of all functions; formula, chapter, picture of an instrument.

A docstring holds its formula in plain text, for an editor. On its page it also stands as it is
printed, with the chapter that explains it: both come from `book/reference/formulas.yml`. What the
instrument measures is shown by a picture that it draws itself (`pictures`).
"""

import dataclasses
import importlib
import inspect
from pathlib import Path

import yaml

import companion
from companion import book

__all__ = ["FORMULAS", "formulas", "rooms", "table", "with_formula"]

# Values with several fields that are handed in; all others are results.
INPUTS = {"Dataset", "Exercise", "Frame", "Look", "Mistake", "Overlay", "Panel", "Recipe"}

FORMULAS = "book/reference/formulas.yml"


def formulas(root: Path | str) -> dict[str, dict[str, str]]:
    """Formula and chapter of each instrument, by its name in its room.

    Args:
        root: The checkout.

    Returns:
        name -> `formula` (TeX) and `chapter` (below `book/`, without suffix).
    """
    return yaml.safe_load((Path(root) / FORMULAS).read_text(encoding="utf-8"))


def with_formula(lines: list[str], formula: str, chapter: str, picture: str) -> list[str]:
    """A docstring in reStructuredText with formula and picture behind the first paragraph.

    Args:
        lines: The docstring.
        formula: TeX, one line.
        chapter: Below `book/`, without suffix.
        picture: HTML, one line.

    Returns:
        The docstring with formula, link and picture.

    >>> with_formula(["Length."], "|x|", "a", "<figure>")[2:5]
    ['.. math:: |x|', '', 'Explained in the chapter :doc:`/book/a`.']
    """
    end = lines.index("") if "" in lines else len(lines)
    link = f"Explained in the chapter :doc:`/book/{chapter}`."
    drawn = [".. raw:: html", "", f"   {picture}", ""]
    shown = ["", f".. math:: {formula}", "", link, "", *drawn]
    return [*lines[:end], *shown, *lines[end + 1 :]]


def rooms() -> list[str]:
    """The rooms of the package, those of the book last, by their names below `companion`."""
    own = [name for name in companion.__all__ if name not in ("__version__", "book")]
    return [*own, *(f"book.{name}" for name in book.__all__)]


def table() -> list[str]:
    """A row in Markdown for each room: its page, and its functions and classes with links.

    What a function returns, a value with several fields, stands on the page beside the function.
    """
    lines = ["| room | functions and classes |", "| --- | --- |"]
    for room in rooms():
        module = importlib.import_module(f"companion.{room}")
        things = {word: getattr(module, word) for word in module.__all__}
        names = [word for word, one in things.items() if inspect.isroutine(one) or _made(one)]
        linked = (f"{{py:obj}}`{word} <companion.{room}.{word}>`" for word in names)
        page = room.removeprefix("book.")
        lines.append(f"| [`{room}`](api/{page}.md) | {', '.join(linked)} |")
    return lines


def _made(thing: object) -> bool:
    """Whether it is a class that a caller makes values of."""
    made = inspect.isclass(thing) and not issubclass(thing, BaseException)
    return made and (thing.__name__ in INPUTS or not dataclasses.is_dataclass(thing))
