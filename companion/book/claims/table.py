"""The claims of a chapter as one table: what this run measured, and the kept run beside it.

Explained in the chapter `book/distances/metric_structure`.
"""

__all__ = ["beside"]

import html
from collections.abc import Iterable, Mapping

from companion.book.claims import record
from companion.book.claims.measured import bound, interval

CAPTION = (
    "Mean over seeds with its 90 % interval (Student's t; the range below three seeds); over a "
    "control or a rival: the effect minus its value, then that value (the other side)."
)


# On each cell, since JupyterLab sets its own cells to the right and in the middle.
LOOK = "text-align: left; vertical-align: top"


def beside(kept: object) -> None:
    """Show the claims checked so far as a table, those of a kept run beside those of this one.

    One block per claim in the order of first checking, one line per test (effect, what is left
    over the control, over the rival), in the unit of each. Each claim of the kept chapter has a
    column for this run and one for each data set of the kept one, with verdicts, seeds, and what
    controls and rivals show. Outside a notebook the table is printed.

    Args:
        kept: A chapter's kept result, as `companion.book.results.kept` returns it (numbers in the
            units of its claims).

    Raises:
        TypeError: For anything else.
    """
    fields = ("name", "values", "size", "date", "command")
    if not all(hasattr(kept, field) for field in fields):
        raise TypeError(
            f"kept is a {type(kept).__name__}, but a kept result is needed: pass "
            "results.kept('chapter')"
        )
    records = [one for one in record.checked() if one["key"].startswith(f"{kept.name}/")]
    if not records:
        nothing = f"no claim of {kept.name} has been checked yet"
        record.show({"text/plain": nothing, "text/html": f"<p>{nothing}</p>"})
        return
    record.show({"text/plain": _text(records, kept), "text/html": _html(records, kept)})


def _runs(one: dict, kept: object) -> list[tuple[str, dict]]:
    """What was run, and the record of it: this run first, then each kept one of the claim."""
    word = one["key"].partition("/")[2]
    values = kept.values.items()
    return [(one["data"], one)] + [(data, found[word]) for data, found in values if word in found]


def _seeds(run: Mapping) -> str:
    count = len(run["effect"]["values"])
    return "exact" if run["effect"]["exact"] else f"{count} seed{'s' * (count > 1)}"


def _verdict(run: Mapping) -> str:
    # Only this run has one recorded; it is that of its own size, not that of the kept run.
    recorded = run.get("recorded", run["verdict"]) or "none"
    return run["verdict"] + ("" if recorded == run["verdict"] else f" (recorded: {recorded})")


def _names(one: dict, runs: Iterable[tuple[str, dict]]) -> dict[str, str]:
    """The tests of a claim by word, in this run or a kept one: name, and bound in this run."""
    names = {word: name for _, run in runs for word, name, _ in record.sides(run)}
    return {
        word: names[word] + (f", {_bound(one[word])}" if one[word] else "")
        for word in ("effect", "control", "rival")
        if word in names
    }


def _bound(part: Mapping) -> str:
    return bound(part["at_least"], part["at_most"])


def _cell(run: Mapping, word: str, one: Mapping) -> str:
    part = run.get(word)
    if not part:
        return ""
    # A bound may change after a run was kept, or with the size: then the cell says its own.
    same = one[word] and _bound(one[word]) == _bound(part)
    text = f"{interval(part)}, {'' if same else _bound(part) + ': '}{part['outcome']}"
    if part["other"] is None:
        return text
    name = "other side" if word == "effect" else word
    return f"{text}; {name} {sum(part['other']) / len(part['other']):.4g}"


def _text(records: list[dict], kept: object) -> str:
    lines = [_origin(kept)]
    for one in records:
        lines.append(f"{one['key']}: {one['says']} ({one['paper']})")
        runs = _runs(one, kept)
        for place, (data, run) in enumerate(runs):
            which = "kept" if place else "this run"
            lines.append(f"  {which}, {data}, {_seeds(run)}: {_verdict(run)}")
            lines += [
                f"    {name}: {_cell(run, word, one)}"
                for word, name in _names(one, runs).items()
                if run.get(word)
            ]
    return "\n".join(lines)


def _html(records: list[dict], kept: object) -> str:
    # One block of rows per claim, its sentence above them, and narrow columns for the runs: that
    # fits on a phone, a row with a sentence and three intervals does not.
    width = max(len(_runs(one, kept)) for one in records)
    blocks = "".join(_block(one, _runs(one, kept), width) for one in records)
    head = "".join(f'<th scope="col" style="{LOOK}">{word}</th>' for word in ("test", "this run"))
    if width > 1:
        head += f'<th scope="colgroup" colspan="{width - 1}" style="{LOOK}">kept</th>'
    caption = f"{html.escape(_origin(kept))} {CAPTION}"
    return (
        '<div class="ng-claims" style="overflow-x: auto"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>{blocks}</table></div>"
    )


def _block(one: dict, runs: list[tuple[str, dict]], width: int) -> str:
    key = one["key"]
    anchor = f'<a href="#claim-{key}">{key.replace("/", "/<wbr>")}</a>'
    rows = [("on", [f"{data}, {_seeds(run)}" for data, run in runs])]
    rows.append(("verdict", [_verdict(run) for _, run in runs]))
    for word, name in _names(one, runs).items():
        rows.append((name, [_cell(run, word, one) for _, run in runs]))
    lines = ""
    for name, cells in rows:
        tag = "strong" if name == "verdict" else "span"
        filled = cells + [""] * (width - len(cells))
        lines += f'<tr><th scope="row" style="{LOOK}; font-weight: normal">'
        lines += f"{html.escape(name)}</th>"
        lines += "".join(
            f'<td style="{LOOK}"><{tag}>{html.escape(cell)}</{tag}></td>' for cell in filled
        )
        lines += "</tr>"
    return (
        f'<tbody><tr><th scope="rowgroup" colspan="{width + 1}" '
        f'style="{LOOK}; font-weight: normal; padding-top: 0.8em">{anchor}: '
        f"{html.escape(one['says'])} ({html.escape(one['paper'])})</th></tr>{lines}</tbody>"
    )


def _origin(kept: object) -> str:
    return f"Kept: the run of size {kept.size} of {kept.date}, {kept.command}."
