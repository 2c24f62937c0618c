"""The claims page: every claim of the book in one row that unfolds, and what came of it."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, groupby

from markupsafe import Markup

from companion.book.claims import bound, over, test
from companion.run import split
from ledger import IMAGES, NOT_RUN, Claim, Run
from rounding import interval, mean_and_spread
from templates import macros

__all__ = ["VERDICTS", "badge", "example", "in_place", "inline", "legend", "page", "strip"]

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
    "holds": "The effect met its bound, and so did what is left of it over the control and over "
    "the rival, where there are any.",
    "holds for another reason": "The effect is there, but too little of it is left over the "
    "rival: a duller explanation does it alone.",
    "true but not specific": "The effect is there, but too little of it is left over the control: "
    "a network that must not show it does.",
    "not separable here": "The interval of the effect, or of what is left of it, contains the "
    "bound: at this size the experiment cannot tell.",
    "does not hold here": "The effect missed its bound.",
}

# What a test is of, and where it is a difference, what was taken away.
TESTS = {
    "effect": ("effect", "the other side"),
    "control": ("left over the control", "the control itself"),
    "rival": ("left over the rival", "the rival itself"),
}

LINE = re.compile(r'<p id="claim-([^"]+)">claim \1: (?:as recorded|no verdict recorded)</p>')


def page(
    claims: list[Claim],
    link: Callable[[str], str],
    title: Callable[[str], str],
    part: Callable[[str], str] = lambda doc: "",
) -> str:
    """HTML of the claims page: counts, a filter, then the claims in parts and chapters.

    `link(doc)` is the address of a chapter seen from the page, `title(doc)` its title, `part(doc)`
    the part of the book that it stands in.
    """
    if not claims:
        return '<p class="ng-none">No chapter has recorded a claim yet.</p>'
    parts = [
        (name, [(doc, list(some)) for doc, some in groupby(ours, key=lambda claim: claim.doc)])
        for name, ours in groupby(claims, key=lambda claim: part(claim.doc))
    ]
    return FORMS.page(
        parts,
        link,
        title,
        claims=len(claims),
        counts=_counts(claims),
        tests=_tests_of_chance(claims),
        papers=sorted({claim.paper for claim in claims}),
        sets=_sets(claims),
    )


def badge(verdict: str) -> Markup:
    """A verdict as a sign with its words; "not run" has none."""
    if verdict == NOT_RUN:
        return Markup(f'<span class="ng-verdict ng-not-run">{NOT_RUN}</span>')
    name, drawing = VERDICTS[verdict]
    return Markup(
        f'<span class="ng-verdict ng-{name}"><svg viewBox="0 0 16 16" width="16" height="16" '
        'fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">'
        f"{drawing}</svg><span>{verdict}</span></span>"
    )


def in_place(
    body: str, records: dict[str, dict], kept: dict[str, Run | None], address: str
) -> str:
    """The HTML of a chapter in which each claim's line says its sentence and its verdict.

    A notebook's own line is the same on every data set, so that a test can compare it;
    `records[key]` is what this build measured, `kept[key]` the kept run on the same data set,
    which is shown where it says something else, `address` that of the claims page.
    """

    def say(line: re.Match) -> str:
        record = records.get(html.unescape(line[1]))
        if record is None:
            return line[0]
        other = kept.get(record["key"])
        differs = other is not None and other.verdict != record["verdict"]
        data, size = split(record["data"])
        built = Run.of(record, size=size)
        return FORMS.in_place(record, data, built, other if differs else None, address)

    return LINE.sub(say, body)


def legend() -> str:
    """The five verdicts with their signs and what each of them means."""
    entries = "\n".join(
        f"<dt>{badge(verdict)}</dt><dd>{MEANINGS[verdict]}</dd>" for verdict in VERDICTS
    )
    return f'<dl class="ng-legend">\n{entries}\n</dl>'


def example() -> Run:
    """A made-up run with each kind of test, held against its bounds as a chapter's are."""
    gained, untrained, scaled = [0.14, 0.16, 0.15], [0.02, 0.03, 0.01], [0.12, 0.15, 0.12]
    tests = {
        "effect": test(gained, at_least=0.05),
        "control": over(gained, untrained, at_least=0.03),
        "rival": over(gained, scaled, at_least=0.03),
    }
    found = {role: vars(measured) for role, measured in tests.items()}
    return Run("not separable here", found, "build")


def worked_example() -> str:
    """The made-up run as the page unfolds it."""
    return FORMS.example(example(), _scales([example()]))


def label(run: Run) -> str:
    """Where a run comes from: a build or a kept run, its seeds, its size, its date.

    >>> label(Run("holds", {"effect": {"values": [1.0, 2.0, 3.0], "exact": False}}, "build"))
    'build, 3 seeds'
    """
    effect = run.tests["effect"]
    count = len(effect["values"])
    seeds = "exact" if effect["exact"] else f"{count} seed{'s' * (count != 1)}"
    size = "" if run.size == "build" else f"size {run.size}"
    return ", ".join(filter(None, ["kept run" if run.date else "build", seeds, size, run.date]))


def inline(text: str) -> Markup:
    """Plain words with `code`, **bold**, *slanted* and $formulas$ as HTML; all else is escaped."""
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", text)
    return Markup("".join(_part(part) for part in parts))


def strip(test: dict, scale: tuple[float, float]) -> Markup:
    """The measured values on a line: a dot per seed, a bar for the interval, the bounds as ticks.

    The words beside it say the same, so it is hidden from screen readers.
    """
    low, high = scale
    if not high > low:
        return Markup("")

    def place(value: float) -> float:
        return round(4 + 92 * min(max((value - low) / (high - low), 0), 1), 2)

    left, right = place(test["low"]), place(test["high"])
    ticks = "".join(
        f'<line class="ng-bound" x1="{place(b)}%" x2="{place(b)}%" y1="1" y2="17"/>'
        for b in _bounds(test)
    )
    dots = "".join(f'<circle cx="{place(v)}%" cy="9" r="2.5"/>' for v in test["values"])
    return Markup(
        '<svg class="ng-strip" width="100%" height="18" aria-hidden="true">'
        '<line class="ng-axis" x1="0" x2="100%" y1="9" y2="9"/>'
        f'<rect x="{left}%" width="{round(right - left, 2)}%" y="5" height="8" rx="2"/>'
        f"{ticks}{dots}</svg>"
    )


def _counts(claims: list[Claim]) -> dict[str, Counter]:
    """How often each verdict stands on each data set; constructed sets are counted together."""
    counts: dict[str, Counter] = {}
    for claim in claims:
        for data in claim.runs:
            heading = data if data in IMAGES else "constructed"
            counts.setdefault(heading, Counter())[claim.verdict(data)] += 1
    order = [*IMAGES, "constructed"]
    return {name: counts[name] for name in order if name in counts}


def _tests_of_chance(claims: list[Claim]) -> int:
    """The tests behind the verdicts that seeds could have decided otherwise."""
    standing = [runs[-1] for claim in claims for runs in claim.runs.values() if runs]
    tests = [test for run in standing for test in run.tests.values()]
    return sum(len(test["values"]) > 2 and not test["exact"] for test in tests)


def _sets(claims: list[Claim]) -> list[str]:
    found = {data for claim in claims for data in claim.runs}
    return [*filter(found.__contains__, IMAGES), *sorted(found - set(IMAGES))]


def _scales(runs: Iterable[Run]) -> dict[str, tuple[float, float]]:
    """One scale for the tests of each role, so that runs and data sets compare by eye."""
    shown: dict[str, list[float]] = {}
    for role, one in (item for run in runs for item in run.tests.items()):
        values = (*one["values"], one["low"], one["high"], *_bounds(one))
        shown.setdefault(role, []).extend(values)
    return {role: (min(values), max(values)) for role, values in shown.items()}


def _bounds(test: dict) -> list[float]:
    return [value for value in (test["at_least"], test["at_most"]) if value is not None]


def _part(part: str) -> str:
    if len(part) > 2 and part[0] == part[-1] == "$":
        formula = html.escape(part[1:-1], quote=False)
        return f'<span class="math notranslate nohighlight">\\({formula}\\)</span>'
    if len(part) > 2 and part[0] == part[-1] == "`":
        return f"<code>{html.escape(part[1:-1], quote=False)}</code>"
    words = html.escape(part, quote=False)
    words = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", words)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", words)


FORMS = macros(
    "claimpage.html",
    NOT_RUN=NOT_RUN,
    TESTS=TESTS,
    WORDINGS=(*VERDICTS, NOT_RUN),
    badge=badge,
    bound=bound,
    inline=inline,
    interval=interval,
    label=label,
    scales=lambda claim: _scales(chain.from_iterable(claim.runs.values())),
    spread=mean_and_spread,
    strip=strip,
)
