"""The claims page: every claim of the book, what was measured, and what came of it."""

import html
import re
from collections.abc import Callable
from urllib.parse import quote

from companion.run import split
from ledger import IMAGES, Claim
from rounding import interval

__all__ = ["VERDICTS", "badge", "in_place", "inline", "legend", "page", "strip"]

# Drawn, so that a verdict is told by a shape and a word before it is told by a colour:
# a full disc, a ring with a core, a half disc, a broken ring, a crossed ring.
VERDICTS = {
    "holds": ("holds", '<circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none"/>'),
    "holds for another reason": (
        "reason",
        '<circle cx="8" cy="8" r="6"/><circle cx="8" cy="8" r="2.8" fill="currentColor" '
        'stroke="none"/>',
    ),
    "true but not specific": (
        "shared",
        '<circle cx="8" cy="8" r="6"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/>',
    ),
    "not separable here": ("open", '<circle cx="8" cy="8" r="6" stroke-dasharray="2.6 2.1"/>'),
    "does not hold here": ("fails", '<circle cx="8" cy="8" r="6"/><path d="M3.8 12.2 12.2 3.8"/>'),
}

MEANINGS = {
    "holds": "The effect met its bound; control and rival, where there are any, missed it.",
    "holds for another reason": "The effect is there, and a duller explanation does as well.",
    "true but not specific": "The effect is there, and a network that learned nothing of the kind "
    "shows it, too.",
    "not separable here": "An interval contains the bound, of the effect, its control or its "
    "rival: at this size the experiment cannot tell.",
    "does not hold here": "The effect missed its bound.",
}

ROLES = ("effect", "control", "rival")

LINE = re.compile(r'<p id="claim-([^"]+)">claim \1: as recorded</p>')


def page(claims: list[Claim], link: Callable[[str], str], title: Callable[[str], str]) -> str:
    """HTML of the claims page: for each chapter a table at a glance, then one card per claim.

    `link(doc)` is the address of a chapter seen from the page, `title(doc)` its title.
    """
    if not claims:
        return '<p class="ng-none">No chapter has recorded a claim yet.</p>'
    chapters = list(dict.fromkeys(claim.doc for claim in claims))
    return _jumps(chapters, title) + "\n".join(
        _chapter([c for c in claims if c.doc == doc], doc, link(doc), title(doc))
        for doc in chapters
    )


def badge(verdict: str | None) -> str:
    """A verdict as a sign with its words; None: this data set was not run."""
    if verdict is None:
        return '<span class="ng-verdict ng-not-run">not run</span>'
    name, drawing = VERDICTS[verdict]
    return (
        f'<span class="ng-verdict ng-{name}"><svg viewBox="0 0 16 16" width="16" height="16" '
        'fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">'
        f"{drawing}</svg><span>{verdict}</span></span>"
    )


def in_place(body: str, records: dict[str, dict], address: str) -> str:
    """The HTML of a chapter in which each claim's line says what was measured and its verdict.

    A notebook's own line is the same on every data set, so that a test can compare it;
    `records[key]` is what this build measured, `address` that of the claims page.
    """

    def say(line: re.Match) -> str:
        record = records.get(html.unescape(line[1]))
        return _in_place(record, address) if record else line[0]

    return LINE.sub(say, body)


def legend() -> str:
    """The five verdicts with their signs and what each of them means."""
    entries = "\n".join(
        f"<dt>{badge(verdict)}</dt><dd>{MEANINGS[verdict]}</dd>" for verdict in VERDICTS
    )
    return f'<dl class="ng-legend">\n{entries}\n</dl>'


def inline(text: str) -> str:
    """Plain words with `code`, **bold**, *slanted* and $formulas$ as HTML; all else is escaped."""
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", text)
    return "".join(_part(part) for part in parts)


def strip(test: dict, scale: tuple[float, float]) -> str:
    """The measured values on a line: a dot per seed, a bar for the interval, the bounds as ticks.

    The words beside it say the same, so it is hidden from screen readers.
    """
    low, high = scale
    if not high > low:
        return ""

    def place(value: float) -> float:
        return round(4 + 92 * min(max((value - low) / (high - low), 0), 1), 2)

    left, right = place(test["low"]), place(test["high"])
    ticks = "".join(
        f'<line class="ng-bound" x1="{place(b)}%" x2="{place(b)}%" y1="1" y2="17"/>'
        for b in _bounds(test)
    )
    dots = "".join(f'<circle cx="{place(v)}%" cy="9" r="2.5"/>' for v in test["values"])
    return (
        '<svg class="ng-strip" width="100%" height="18" aria-hidden="true">'
        '<line class="ng-axis" x1="0" x2="100%" y1="9" y2="9"/>'
        f'<rect x="{left}%" width="{round(right - left, 2)}%" y="5" height="8" rx="2"/>'
        f"{ticks}{dots}</svg>"
    )


def _in_place(record: dict, address: str) -> str:
    said = [
        f"{role} {' '.join(filter(None, interval(record[role])))}: {record[role]['outcome']}"
        for role in ROLES
        if record[role]
    ]
    return (
        f'<p class="ng-in-place" id="claim-{html.escape(record["key"])}">'
        f'<span class="ng-says"><b>Claim.</b> {inline(record["says"])}</span> '
        f"{badge(record['verdict'])} <span>Bound: {html.escape(record['effect']['bound'])}; "
        f"{html.escape('; '.join(said))}. "
        f'<a href="{address}#ledger-{_quoted(record["key"])}">In the ledger</a></span></p>'
    )


def _jumps(chapters: list[str], title: Callable[[str], str]) -> str:
    if len(chapters) < 2:
        return ""
    items = "".join(
        f'<li><a href="#of-{_quoted(doc)}">{html.escape(title(doc))}</a></li>' for doc in chapters
    )
    return f'<ul class="ng-jumps">{items}</ul>\n'


def _chapter(claims: list[Claim], doc: str, address: str, title: str) -> str:
    names = list(claims[0].runs)
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = "\n".join(
        f'<tr><th scope="row"><a href="#ledger-{_quoted(claim.key)}">{_breakable(claim.key)}</a>'
        f"</th>{''.join(f'<td>{badge(_verdict(run))}</td>' for run in claim.runs.values())}</tr>"
        for claim in claims
    )
    cards = "\n".join(_card(claim, address) for claim in claims)
    return (
        f'<section class="ng-chapter" id="of-{html.escape(doc)}">'
        f'<h2><a href="{address}">{html.escape(title)}</a></h2>\n'
        f'<table class="ng-glance"><caption>The verdicts at a glance</caption><thead><tr>'
        f'<th scope="col">claim</th>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n'
        f"{cards}\n</section>"
    )


def _card(claim: Claim, address: str) -> str:
    record, names = claim.record, list(claim.runs)
    source = f"Source: {inline(record['paper'])}." if record["paper"] else "A claim of this book."
    runs = list(claim.runs.values())
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    verdicts = "".join(f"<td>{badge(_verdict(run))}{_note(run)}</td>" for run in runs)
    roles = [role for role in ROLES if any(run and run[role] for run in runs)]
    tests = "\n".join(_row(claim, role) for role in roles)
    because = list(dict.fromkeys(run["because"] for run in runs if run))
    return (
        f'<article class="ng-claim" id="ledger-{html.escape(claim.key)}">'
        f'<p class="ng-says">{inline(record["says"])}</p>'
        f'<p class="ng-source"><code>{html.escape(claim.key)}</code> {source} '
        f'<a href="{address}#claim-{_quoted(claim.key)}">See it in its place</a></p>\n'
        f'<table class="ng-runs"><thead><tr><td></td>{heads}</tr></thead><tbody>\n'
        f'<tr class="ng-verdicts"><th scope="row">verdict</th>{verdicts}</tr>\n{tests}\n'
        f"</tbody></table>\n"
        f'<p class="ng-because">Bounds: {inline("; ".join(b for b in because if b))}</p></article>'
    )


def _row(claim: Claim, role: str) -> str:
    scale = _scale(claim)
    cells = "".join(f"<td>{_test(run, role, scale)}</td>" for run in claim.runs.values())
    return f'<tr class="ng-{role}"><th scope="row">{role}</th>{cells}</tr>'


def _test(run: dict | None, role: str, scale: tuple[float, float]) -> str:
    if run is None:
        return '<span class="ng-not-run">not run</span>'
    if run[role] is None:
        return '<span class="ng-not-run">none</span>'
    test = run[role]
    mean, spread = interval(test)
    return (
        f'<span class="ng-measured">{mean}</span> <span class="ng-interval">{spread}</span>'
        f"{strip(test, scale)}"
        f'<span class="ng-outcome">{html.escape(test["bound"])}: <b>{test["outcome"]}</b>'
        "</span>"
    )


def _verdict(run: dict | None) -> str | None:
    return run["verdict"] if run else None


def _note(run: dict | None) -> str:
    """What the badge alone would hide: a toy set, no recorded verdict, or another one."""
    if run is None:
        return ""
    notes = []
    if split(run["data"])[0] not in IMAGES:
        notes.append(f"on {run['data']}")
    if run["recorded"] is None:
        notes.append("no verdict recorded")
    elif run["recorded"] != run["verdict"]:
        notes.append(f"recorded: {run['recorded']}")
    return "".join(f'<span class="ng-note">{html.escape(note)}</span>' for note in notes)


def _scale(claim: Claim) -> tuple[float, float]:
    """One scale for all the tests of a claim, so that effect, control and rival compare by eye."""
    tests = [run[role] for run in claim.runs.values() if run for role in ROLES if run[role]]
    shown = [v for t in tests for v in (*t["values"], t["low"], t["high"], *_bounds(t))]
    shown = [v for v in shown if abs(v) < float("inf")]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _bounds(test: dict) -> list[float]:
    number = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
    return [float(bound) for bound in re.findall(number, test["bound"])]


def _part(part: str) -> str:
    if len(part) > 2 and part[0] == part[-1] == "$":
        formula = html.escape(part[1:-1], quote=False)
        return f'<span class="math notranslate nohighlight">\\({formula}\\)</span>'
    if len(part) > 2 and part[0] == part[-1] == "`":
        return f"<code>{html.escape(part[1:-1], quote=False)}</code>"
    words = html.escape(part, quote=False)
    words = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", words)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", words)


def _quoted(key: str) -> str:
    return quote(key, safe="/")


def _breakable(key: str) -> str:
    return "<code>" + "<wbr>".join(re.split(r"(?<=[/_-])", html.escape(key))) + "</code>"
