"""What a chapter claims: its verdict, compared with the recorded one, and what the page shows.

Explained in the chapter `book/distances/metric_structure`.
"""

__all__ = ["ClaimDiffers", "check", "checked", "column", "say", "show", "sides"]

import html
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict

from companion import run
from companion.book.claims.measured import Measured, bound, interval, numbers

VERDICTS = (
    "holds",
    "holds for another reason",
    "true but not specific",
    "not separable here",
    "does not hold here",
)
# Keys become anchors of pages and parts of addresses, where a blank or a quote would break.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")

_checked: dict[str, dict] = {}


class ClaimDiffers(Exception):
    """The verdict of this run is not the recorded one (raised under COMPANION_STRICT=1)."""


def check(
    key: str,
    *,
    data: str,
    says: str,
    effect: Measured,
    control: Measured | None = None,
    rival: Measured | None = None,
    because: str,
    verdicts: Mapping[str, str],
    paper: str,
) -> None:
    """Derive the verdict of one claim and compare it with the one recorded for `data`.

    In this order: effect undecided, "not separable here"; missed, "does not hold here"; what is
    left over the control missed, "true but not specific"; over the rival missed, "holds for
    another reason"; one of the two undecided, "not separable here"; otherwise "holds".

    Args:
        key: The claim's name, "chapter/word".
        data: What was run, `run.name(data.name)`: the data set, with the size of the run behind it
            where that is not the build's ("mnist hour").
        says: The claim in one sentence.
        effect: What is claimed, as `test` or `over` returns it.
        control: What is left of it over a network that must not show it, as `over` returns it; by
            default there is no control.
        rival: What is left of it over a duller explanation, as `over` returns it; by default there
            is no rival.
        because: Why the bounds are what they are, in words.
        verdicts: The recorded verdict of each run, by its name as in `data`.
        paper: Whose claim it is: a paper, with the place in it, or "a reader's guess".

    Raises:
        ClaimDiffers: Under COMPANION_STRICT=1 if the verdicts differ, in either direction
            (otherwise a box says so).
        ValueError: For a verdict that is not one of the five, an empty or malformed text, or a
            control or rival that is a test of its own or bounded in the other direction.
        TypeError: For a test that does not come from `test` or `over`.

    Shows exactly one output, the same on every machine, with the record in its metadata. Without a
    recorded verdict it says so and never raises. Checking a key again replaces its record. Outside
    a notebook the line is printed.

    >>> from companion.book.claims import test
    >>> check("demo/length", data="toy", says="A step has length one.", paper="a reader's guess",
    ...       effect=test(1.0, at_least=0.5, exact=True), because="by construction",
    ...       verdicts={"toy": "holds"})
    claim demo/length: as recorded
    """
    _check_name(key, "claim key")
    _check_texts({"data": data, "says": says, "because": because, "paper": paper}, key)
    _check_verdicts(verdicts, key)
    parts = {"effect": effect, "control": control, "rival": rival}
    _check_tests(parts, key)
    record = {"key": key, "says": says, "paper": paper, "data": data, "because": because}
    record["verdict"] = _verdict(effect, control, rival)
    record["recorded"] = verdicts.get(data)
    for word, part in parts.items():
        record[word] = part and _plain(part)
    _checked[key] = record
    if record["recorded"] == record["verdict"]:
        _show_line(f"claim {key}: as recorded", f"claim-{key}", {"network-geometry-claim": record})
    elif record["recorded"] is None:
        line = f"claim {key}: no verdict recorded"
        _show_line(line, f"claim-{key}", {"network-geometry-claim": record})
    else:
        _differs(record)


def checked() -> list[dict]:
    """The records of the claims checked so far, in the order of first checking.

    Returns:
        One for each claim, as the metadata of its output has it (values in each test's own unit).
    """
    return list(_checked.values())


def column(name: str, values: Mapping[str, object], *, unit: str, more_means: str) -> None:
    """Store a column of the report card: for each network one number per seed.

    Shows one fixed line with the record in its metadata, like `check`.

    Args:
        name: The column's name.
        values: By the network's name a number, or one per seed (list, 1-D tensor or array).
        unit: What the numbers count, as "pixel units" or "share of images".
        more_means: What a larger number means, as "the nearest other class is farther away".

    Raises:
        ValueError: For an empty column, an empty network, an empty text or NaN.
        TypeError: For what is no number.

    >>> column("margin", {"trained": [1.4, 1.5], "untrained": 0.3}, unit="pixel units",
    ...        more_means="the nearest other class is farther away")
    column margin: stored
    """
    _check_name(name, "column name")
    _check_texts({"unit": unit, "more_means": more_means}, name, "column")
    if not isinstance(values, Mapping) or not values:
        raise ValueError(
            f"column {name}: values is {values!r}, but numbers for at least one network are "
            "needed: pass a dictionary from the network's name to one value per seed"
        )
    per_seed = {
        str(network): list(numbers(given, f"column {name}, {network}"))
        for network, given in values.items()
    }
    record = {"name": name, "unit": unit, "more_means": more_means, "values": per_seed}
    line = f"column {name}: stored"
    _show_line(line, f"column-{name}", {"network-geometry-column": record})


def say(markdown: str) -> None:
    """Show a sentence that contains measured numbers.

    Args:
        markdown: The sentence as Markdown (formulas between dollar signs); outside a notebook it
            is printed as it stands.

    >>> say("The margin is **1.5** pixels.")
    The margin is **1.5** pixels.
    """
    show({"text/plain": markdown, "text/markdown": markdown})


def _verdict(effect: Measured, control: Measured | None, rival: Measured | None) -> str:
    if effect.outcome == "undecided":
        return "not separable here"
    if effect.outcome == "missed":
        return "does not hold here"
    if control is not None and control.outcome == "missed":
        return "true but not specific"
    if rival is not None and rival.outcome == "missed":
        return "holds for another reason"
    # A wide interval must not make a claim stronger than a narrow one would.
    if "undecided" in {part.outcome for part in (control, rival) if part is not None}:
        return "not separable here"
    return "holds"


def _plain(part: Measured) -> dict:
    other = None if part.other is None else list(part.other)
    return asdict(part) | {"values": list(part.values), "other": other}


def sides(record: Mapping) -> list[tuple[str, str, dict]]:
    """The tests of a claim, each with what it is called (in their own units).

    Args:
        record: Holds tests under "effect", "control" and "rival".

    Returns:
        For each that is there its word, its name in a table and its fields.
    """
    names = {"effect": "effect", "control": "over the control", "rival": "over the rival"}
    return [(word, name, record[word]) for word, name in names.items() if record.get(word)]


def _differs(record: dict) -> None:
    tests = "; ".join(
        f"{name} {interval(part)}, bound {bound(part['at_least'], part['at_most'])}: "
        f"{part['outcome']}"
        for _, name, part in sides(record)
    )
    sentence = (
        f"claim {record['key']}: recorded '{record['recorded']}' on {record['data']}, "
        f"this run says '{record['verdict']}' ({tests})"
    )
    if run.strict():
        raise ClaimDiffers(
            f"{sentence}: undo what changed the measurement, or record the new verdict in its "
            "chapter if it is the right one"
        )
    box = (
        f'<div id="claim-{record["key"]}" class="ng-claim-differs" role="note" '
        'style="border: 2px solid; border-radius: 0.3rem; padding: 0.5rem 0.8rem">'
        f"<strong>Not what the book recorded.</strong> {html.escape(sentence)}. "
        "If you changed something, this is its effect.</div>"
    )
    plain = f"Not what the book recorded. {sentence}"
    show({"text/plain": plain, "text/html": box}, {"network-geometry-claim": record})


def _check_name(name: str, what: str) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError(
            f"the {what} is {name!r}, but it becomes part of an address: use letters, digits, "
            "and . _ / - only, as in 'metric/tear'"
        )


def _check_texts(texts: Mapping[str, str], key: str, what: str = "claim") -> None:
    for word, text in texts.items():
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(
                f"{what} {key}: {word} is {text!r}, but the book prints it: pass a text that is "
                "not empty"
            )


def _check_verdicts(verdicts: Mapping[str, str], key: str) -> None:
    for data, verdict in verdicts.items():
        if verdict not in VERDICTS:
            words = ", ".join(f"'{word}'" for word in VERDICTS)
            raise ValueError(
                f"claim {key}: the verdict recorded for {data} is {verdict!r}, but only five "
                f"are used: write one of {words}"
            )


def _check_tests(parts: Mapping[str, object], key: str) -> None:
    for word, part in parts.items():
        call = "test(values" if word == "effect" else f"over(effect, {word}"
        if not (isinstance(part, Measured) or (part is None and word != "effect")):
            raise TypeError(
                f"claim {key}: {word} is a {type(part).__name__}, but a measured quantity with "
                f"its bound is needed: pass {word}=claims.{call}, at_least=...)"
            )
        if word == "effect" or part is None:
            continue
        if part.other is None:
            raise ValueError(
                f"claim {key}: {word} is a test of the {word} alone, but what is left of the "
                f"effect over it is needed: pass {word}=claims.{call}, at_least=...)"
            )
        effect = parts["effect"]
        one_sided = None in (effect.at_least, effect.at_most)
        if one_sided and (effect.at_least is None) != (part.at_least is None):
            raise ValueError(
                f"claim {key}: the effect is held {effect.bound} and what is left over the {word} "
                f"{part.bound}, but both must go the same way: at_most=-0.1 belongs to "
                "at_most=0.3, since a small effect leaves a negative difference"
            )


def _show_line(line: str, anchor: str, metadata: dict) -> None:
    show({"text/plain": line, "text/html": f'<p id="{anchor}">{line}</p>'}, metadata)


def show(bundle: dict[str, str], metadata: dict | None = None) -> None:
    """Show one output of a notebook; elsewhere its plain text is printed.

    Args:
        bundle: The output by MIME type, with "text/plain" among them.
        metadata: What is stored with it; by default nothing.
    """
    # Whoever runs inside IPython has imported it already, so nobody else pays for the import.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True, metadata=metadata or {})
