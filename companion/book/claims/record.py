"""What a chapter claims: its verdict, compared with the recorded one, and what the page shows.

Explained in the chapter `book/distances/metric_structure`.
"""

__all__ = ["ClaimDiffers", "check", "column", "say", "verdicts"]

import html
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict

from companion.book.claims.measured import Measured, interval, numbers

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
    paper: str | None = None,
) -> None:
    """Derive the verdict of one claim and compare it with the one recorded for `data`.

    In this order: effect undecided, "not separable here"; missed, "does not hold here"; control
    met, "true but not specific"; rival met, "holds for another reason"; one of the two undecided,
    "not separable here"; otherwise "holds".

    Args:
        key: The claim's name, "chapter/word".
        data: What was run, `run.name(data.name)`: the data set, with the size of the run behind it
            where that is not the build's ("mnist hour").
        says: The claim in one sentence.
        effect: What is claimed, as `test` returns it.
        control: The same quantity where it must not show; by default there is no control.
        rival: The same quantity by a duller explanation; by default there is no rival.
        because: Where the bound comes from.
        verdicts: The recorded verdict of each run, by its name as in `data`.
        paper: Whose claim it is; by default the book's own.

    Raises:
        ClaimDiffers: Under COMPANION_STRICT=1 if the verdicts differ, in either direction
            (otherwise a box says so).
        ValueError: For a verdict that is not one of the five, or an empty or malformed text.
        TypeError: For a test that does not come from `test`.

    Shows exactly one output, the same on every machine, with the record in its metadata. Without a
    recorded verdict it says so and never raises. Checking a key again replaces its record. Outside
    a notebook the line is printed.

    >>> from companion.book.claims import test
    >>> check("demo/length", data="toy", says="A step has length one.", because="by construction",
    ...       effect=test(1.0, at_least=0.5), verdicts={"toy": "holds"})
    claim demo/length: as recorded
    """
    _check_name(key, "claim key")
    _check_texts({"data": data, "says": says, "because": because}, key)
    _check_verdicts(verdicts, key)
    parts = {"effect": effect, "control": control, "rival": rival}
    _check_tests(parts, key)
    record = {"key": key, "says": says, "paper": paper, "data": data, "because": because}
    record["verdict"] = _verdict(effect, control, rival)
    record["recorded"] = verdicts.get(data)
    for word, part in parts.items():
        record[word] = part and asdict(part) | {"values": list(part.values)}
    _checked[key] = record
    if record["recorded"] == record["verdict"]:
        _show_line(f"claim {key}: as recorded", f"claim-{key}", {"network-geometry-claim": record})
    elif record["recorded"] is None:
        line = f"claim {key}: no verdict recorded"
        _show_line(line, f"claim-{key}", {"network-geometry-claim": record})
    else:
        _differs(record)


def verdicts() -> None:
    """Show a table of the claims checked so far: measured value, interval, bound and verdict.

    One block per claim in the order of first checking, one line per test (effect, control,
    rival). Numbers carry four digits. Outside a notebook the table is printed as text.
    """
    if not _checked:
        line = "no claim has been checked yet"
        _show({"text/plain": line, "text/html": f"<p>{line}</p>"})
        return
    records = list(_checked.values())
    _show({"text/plain": _text_table(records), "text/html": _html_table(records)})


def column(name: str, values: Mapping[str, object]) -> None:
    """Store a column of the report card: for each network one number per seed.

    Shows one fixed line with the record in its metadata, like `check`.

    Args:
        name: The column's name.
        values: By the network's name a number, or one per seed (list, 1-D tensor or array).

    Raises:
        ValueError: For an empty column, an empty network or NaN.
        TypeError: For what is no number.

    >>> column("margin", {"trained": [1.4, 1.5], "untrained": 0.3})
    column margin: stored
    """
    _check_name(name, "column name")
    if not isinstance(values, Mapping) or not values:
        raise ValueError(
            f"column {name}: values is {values!r}, but numbers for at least one network are "
            "needed: pass a dictionary from the network's name to one value per seed"
        )
    per_seed = {
        str(network): list(numbers(given, f"column {name}, {network}"))
        for network, given in values.items()
    }
    record = {"network-geometry-column": {"name": name, "values": per_seed}}
    _show_line(f"column {name}: stored", f"column-{name}", record)


def say(markdown: str) -> None:
    """Show a sentence that contains measured numbers.

    Args:
        markdown: The sentence as Markdown (formulas between dollar signs); outside a notebook it
            is printed as it stands.

    >>> say("The margin is **1.5** pixels.")
    The margin is **1.5** pixels.
    """
    _show({"text/plain": markdown, "text/markdown": markdown})


def _verdict(effect: Measured, control: Measured | None, rival: Measured | None) -> str:
    if effect.outcome == "undecided":
        return "not separable here"
    if effect.outcome == "missed":
        return "does not hold here"
    if control is not None and control.outcome == "met":
        return "true but not specific"
    if rival is not None and rival.outcome == "met":
        return "holds for another reason"
    # A wide interval of a control must not make a claim stronger than a narrow one would.
    if "undecided" in {part.outcome for part in (control, rival) if part is not None}:
        return "not separable here"
    return "holds"


def _differs(record: dict) -> None:
    tests = "; ".join(
        f"{word} {interval(part)}, bound {part['bound']}: {part['outcome']}"
        for word, part in _tests(record)
    )
    sentence = (
        f"claim {record['key']}: recorded '{record['recorded']}' on {record['data']}, "
        f"this run says '{record['verdict']}' ({tests})"
    )
    if os.environ.get("COMPANION_STRICT") == "1":
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
    _show({"text/plain": plain, "text/html": box}, {"network-geometry-claim": record})


def _check_name(name: str, what: str) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError(
            f"the {what} is {name!r}, but it becomes part of an address: use letters, digits, "
            "and . _ / - only, as in 'metric/tear'"
        )


def _check_texts(texts: Mapping[str, str], key: str) -> None:
    for word, text in texts.items():
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(
                f"claim {key}: {word} is {text!r}, but the claims page prints it: pass a text "
                "that is not empty"
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
        if not (isinstance(part, Measured) or (part is None and word != "effect")):
            raise TypeError(
                f"claim {key}: {word} is a {type(part).__name__}, but a measured quantity with "
                f"its bound is needed: pass {word}=claims.test(values, at_least=...)"
            )


def _tests(record: dict) -> list[tuple[str, dict]]:
    return [(word, record[word]) for word in ("effect", "control", "rival") if record[word]]


def _note(record: dict) -> str:
    recorded = record["recorded"] or "none"
    return "" if recorded == record["verdict"] else f" (recorded: {recorded})"


def _text_table(records: list[dict]) -> str:
    lines = []
    for record in records:
        lines.append(f"{record['key']} on {record['data']}: {record['verdict']}{_note(record)}")
        for word, part in _tests(record):
            lines.append(f"  {word:8}{interval(part)}, {part['bound']}: {part['outcome']}")
    return "\n".join(lines)


def _html_table(records: list[dict]) -> str:
    # One block of rows per claim, its sentence above them: four narrow columns fit on a phone,
    # a row with a sentence, three intervals and a verdict does not.
    blocks = []
    for record in records:
        key = record["key"]
        anchor = f'<a href="#claim-{key}">{key.replace("/", "/<wbr>")}</a>'
        lines = "".join(
            f'<tr><th scope="row" style="font-weight: normal">{word}</th>'
            f"<td>{interval(part)}</td><td>{part['bound']}</td><td>{part['outcome']}</td></tr>"
            for word, part in _tests(record)
        )
        blocks.append(
            '<tbody><tr><th scope="rowgroup" colspan="4" style="font-weight: normal; '
            f'padding-top: 0.8em">{anchor}: {html.escape(record["says"])} '
            f"On {html.escape(record['data'])}: <strong>{record['verdict']}</strong>"
            f"{_note(record)}.</th></tr>{lines}</tbody>"
        )
    head = "".join(f'<th scope="col">{w}</th>' for w in ("test", "measured", "bound", "outcome"))
    return (
        '<div class="ng-claims" style="overflow-x: auto"><table style="text-align: left">'
        "<caption>Claims checked in this run: mean over seeds with its 90 % interval "
        "(Student's t; the range for two seeds), the bound it is held against, and the "
        f"verdict.</caption><thead><tr>{head}</tr></thead>{''.join(blocks)}</table></div>"
    )


def _show_line(line: str, anchor: str, metadata: dict) -> None:
    _show({"text/plain": line, "text/html": f'<p id="{anchor}">{line}</p>'}, metadata)


def _show(bundle: dict[str, str], metadata: dict | None = None) -> None:
    # Whoever runs inside IPython has imported it already, so nobody else pays for the import.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True, metadata=metadata or {})
