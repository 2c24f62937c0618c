"""The report card: what each chapter's rulers say about the reference networks."""

from collections.abc import Callable
from itertools import groupby

from markupsafe import Markup

from ledger import Column
from rounding import mean_and_spread
from templates import macros

__all__ = ["page"]

# What a chapter calls a network that its code names otherwise.
SHOWN = {"trained_small": "trained, small set"}

# The object of study first, then its controls; other networks follow in the order they appear.
NETWORKS = ("trained", "untrained", "memorized", "trained_small", "linear")


def page(
    cards: dict[str, list[Column]],
    link: Callable[[str], str],
    title: Callable[[str], str] = lambda doc: "",
) -> str:
    """HTML of the report card: for each data set a table for each chapter.

    `link(doc)` is the address of a chapter seen from the page, `title(doc)` its title.
    """
    cards = {name: columns for name, columns in cards.items() if columns}
    if not cards:
        return '<p class="ng-none">No chapter has filled a column yet.</p>'
    rulers = {column.name: column for columns in cards.values() for column in columns}
    tables = {name: _tables(columns, title) for name, columns in cards.items()}
    return FORMS.page(list(rulers.values()), tables, link)


def _tables(
    columns: list[Column], title: Callable[[str], str]
) -> list[tuple[str, list[Column], list[str]]]:
    """A table for each chapter, as wide as a phone: its columns, and the networks it measured."""
    groups = [(title(doc), list(some)) for doc, some in groupby(columns, lambda one: one.doc)]
    return [(name, ours, _networks(ours)) for name, ours in groups]


def _networks(columns: list[Column]) -> list[str]:
    seen = dict.fromkeys(network for column in columns for network in column.values)
    return [n for n in NETWORKS if n in seen] + [n for n in seen if n not in NETWORKS]


ABSENT = Markup('<span class="ng-not-run">not measured</span>')
FORMS = macros("reportcard.html", absent=ABSENT, spread=mean_and_spread, shown=SHOWN)
