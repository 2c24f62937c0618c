"""The report card: what the chapters' rulers say about the reference networks, part by part."""

from collections.abc import Callable
from itertools import groupby

from markupsafe import Markup

from ledger import Column
from rounding import mean_and_spread
from templates import macros

__all__ = ["page"]

# The object of study first, then its controls; other networks follow in the order they appear.
NETWORKS = ("trained", "untrained", "memorized", "trained_small", "linear")


def page(
    cards: dict[str, list[Column]],
    link: Callable[[str], str],
    part: Callable[[str], str] = lambda doc: "",
) -> str:
    """HTML of the report card: for each data set a table for each part of the book.

    `link(doc)` is the address of a chapter seen from the page, `part(doc)` its part.
    """
    cards = {name: columns for name, columns in cards.items() if columns}
    if not cards:
        return '<p class="ng-none">No chapter has filled a column yet.</p>'
    rulers = {column.name: column for columns in cards.values() for column in columns}
    tables = {name: _tables(columns, part) for name, columns in cards.items()}
    return FORMS.page(list(rulers.values()), tables, link)


def _tables(
    columns: list[Column], part: Callable[[str], str]
) -> list[tuple[str, list[Column], list[str]]]:
    """A table for each part of the book, which is as wide as a page: its columns and networks."""
    groups = [(name, list(some)) for name, some in groupby(columns, lambda one: part(one.doc))]
    return [(name, ours, _networks(ours)) for name, ours in groups]


def _networks(columns: list[Column]) -> list[str]:
    seen = dict.fromkeys(network for column in columns for network in column.values)
    return [n for n in NETWORKS if n in seen] + [n for n in seen if n not in NETWORKS]


ABSENT = Markup('<span class="ng-not-run">not measured</span>')
FORMS = macros("reportcard.html", absent=ABSENT, spread=mean_and_spread)
