"""The report card: what the chapters' rulers say about the reference networks, in one table."""

import html
from collections.abc import Callable
from urllib.parse import quote

from ledger import Column
from rounding import mean_and_spread

__all__ = ["page"]

# The object of study first, then its controls; other networks follow in the order they appear.
NETWORKS = ("trained", "untrained", "memorized", "trained_small", "linear")


def page(cards: dict[str, list[Column]], link: Callable[[str], str]) -> str:
    """HTML of the report card: a table for each data set with at least one column."""
    tables = [_table(name, columns, link) for name, columns in cards.items() if columns]
    if not tables:
        return '<p class="ng-none">No chapter has filled a column yet.</p>'
    return "\n".join(tables)


def _table(name: str, columns: list[Column], link: Callable[[str], str]) -> str:
    seen = dict.fromkeys(network for column in columns for network in column.values)
    networks = [n for n in NETWORKS if n in seen] + [n for n in seen if n not in NETWORKS]
    heads = "".join(
        f'<th scope="col"><a href="{link(column.doc)}#column-{quote(column.name, safe="/")}">'
        f"{html.escape(column.name)}</a></th>"
        for column in columns
    )
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(network)}</th>'
        + "".join(f"<td>{_cell(column.values.get(network))}</td>" for column in columns)
        + "</tr>"
        for network in networks
    )
    return (
        '<div class="ng-scroll" tabindex="0" role="region" '
        f'aria-label="Report card on {html.escape(name)}"><table class="ng-card">'
        f'<caption>{html.escape(name)}</caption><thead><tr><th scope="col">network</th>{heads}'
        f"</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(values: list[float] | None) -> str:
    if not values:
        return '<span class="ng-not-run">not measured</span>'
    return html.escape(mean_and_spread(values))
