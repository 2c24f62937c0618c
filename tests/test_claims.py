"""The ledger: intervals, verdicts, the comparison with what was recorded, and what is shown."""

import dataclasses
import html.parser
import itertools
import json
import math
import os
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from companion import run
from companion.book import claims

MET = claims.test([1, 1, 1], at_least=0)
MISSED = claims.test([-1, -1, -1], at_least=0)
UNDECIDED = claims.test([-1, 0, 1], at_least=0)
FIVE = "'holds', 'holds for another reason', 'true but not specific', "


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(claims.record, "_checked", {})
    for name in ("COMPANION_STRICT", run.VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def outputs():
    """Outputs as a notebook would store them: a callable that runs a function and returns them."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    # Without a history no database is opened that nobody closes.
    InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))

    def shown(function, *args, **kwargs):
        with capture_output() as captured:
            assert function(*args, **kwargs) is None
        assert captured.stdout == ""
        return captured.outputs

    yield shown
    InteractiveShell.clear_instance()


def check(**changes):
    form = {
        "key": "metric/tear",
        "data": "digits",
        "says": "Training tears.",
        "effect": MET,
        "because": "five seeds",
        "paper": "a reader's guess",
        "verdicts": {"digits": "holds"},
    } | changes
    return claims.check(form.pop("key"), **form)


# Intervals, by hand


def test_one_number_is_its_own_interval():
    assert claims.test(0.25, at_least=0.2, exact=True) == claims.Measured(
        (0.25,), 0.25, 0.25, 0.25, 0.2, None, True, "met", None
    )


def test_two_values_give_their_range():
    found = claims.test([3, 1], at_most=4)
    assert (found.mean, found.low, found.high, found.values) == (2, 1, 3, (3, 1))


def test_three_values_give_the_interval_of_student():
    # s² = (4 + 0 + 4)/2 = 4, so the standard error is 2/√3; t = 2.92 for two degrees of freedom.
    found = claims.test([1, 3, 5], between=(0, 6))
    assert found.mean == 3
    t = 0.9 * math.sqrt(2 / (1 - 0.81))
    assert found.low == pytest.approx(3 - t * 2 / math.sqrt(3), rel=1e-12)
    assert found.high == pytest.approx(3 + t * 2 / math.sqrt(3), rel=1e-12)


@pytest.mark.parametrize(
    "measured, values",
    [
        (torch.tensor([1.0, 2.0]), (1, 2)),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True), (1, 2)),
        (torch.tensor(3.0), (3,)),
        (np.array([1, 2]), (1, 2)),
        (np.float32(0.5), (0.5,)),
        (pd.Series([1.0, 2.0], index=[7, 3]), (1, 2)),
        ([torch.tensor(1.0), np.float64(2)], (1, 2)),
        ((2,), (2,)),
        ((k for k in range(3)), (0, 1, 2)),
        (True, (1,)),
    ],
)
def test_numbers_come_in_many_forms(measured, values):
    found = claims.test(measured, at_least=0)
    assert found.values == values and all(type(v) is float for v in found.values)


@pytest.mark.parametrize(
    "bound, outcome",
    [
        ({"at_least": 1}, "met"),  # the bound belongs to what meets it
        ({"at_least": 1.5}, "undecided"),
        ({"at_least": 2}, "undecided"),
        ({"at_least": 2.1}, "missed"),
        ({"at_most": 2}, "met"),
        ({"at_most": 1.5}, "undecided"),
        ({"at_most": 1}, "undecided"),
        ({"at_most": 0.9}, "missed"),
        ({"between": (1, 2)}, "met"),
        ({"between": (1.5, 3)}, "undecided"),
        ({"between": (0, 1.5)}, "undecided"),
        ({"between": (1.2, 1.4)}, "undecided"),
        ({"between": (3, 4)}, "missed"),
        ({"between": (-1, 0)}, "missed"),
    ],
)
def test_an_interval_meets_misses_or_contains_a_bound(bound, outcome, monkeypatch):
    assert claims.test([1, 2], **bound, exact=True).outcome == outcome
    monkeypatch.setattr(run, "interval", lambda values: (1.0, 2.0))
    assert claims.test([1, 1.5, 2], **bound).outcome == outcome


@pytest.mark.parametrize("measured", [5, [5], [5, 5]])
def test_one_or_two_values_decide_only_where_nothing_was_drawn(measured):
    for bound, outcome in ({"at_least": 1}, "met"), ({"at_most": 1}, "missed"):
        assert claims.test(measured, **bound).outcome == "undecided"
        assert claims.test(measured, **bound, exact=True).outcome == outcome
        zero = np.zeros_like(measured)
        assert claims.over(measured, zero, **bound).outcome == "undecided"
        assert claims.over(measured, zero, **bound, exact=True).outcome == outcome
    assert claims.test([5, 5, 5], at_least=1).outcome == "met"


def test_bounds_are_numbers_and_put_into_words_where_they_are_shown():
    for bound, numbers, words in (
        ({"at_least": 0.2}, (0.2, None), "at least 0.2"),
        ({"at_most": 1e-3}, (None, 0.001), "at most 0.001"),
        ({"between": (9.0, 15)}, (9, 15), "between 9 and 15"),
        ({"at_least": -0.0625}, (-0.0625, None), "at least −0.0625"),
    ):
        found = claims.test(0, **bound)
        assert (found.at_least, found.at_most) == numbers
        assert found.bound == claims.bound(*numbers) == words


def test_a_test_prints_its_interval_bound_and_outcome():
    assert str(claims.test([1, 2, 3], at_most=0)) == "2 (0.3141 to 3.686), at most 0: missed"


# What is left over a control or a rival


def test_differences_are_taken_seed_by_seed():
    # 1 each time, though either side spreads by tens: what the seeds do to both cancels.
    found = claims.over([11, 51, 91], [10, 50, 90], at_least=0.5)
    assert (found.values, found.low, found.high) == ((1, 1, 1), 1, 1)
    assert (found.other, found.outcome, found.at_least) == ((10, 50, 90), "met", 0.5)
    assert claims.test([11, 51, 91], at_least=0.5).other is None


def test_what_is_left_over_nothing_is_the_effect():
    values = torch.tensor([0.1, 0.2, 0.4])
    left, alone = claims.over(values, [0, 0, 0], at_most=1), claims.test(values, at_most=1)
    assert left.values == alone.values
    assert (left.mean, left.low, left.high) == (alone.mean, alone.low, alone.high)


pairs = st.lists(st.tuples(*[st.integers(-1000, 1000)] * 2), min_size=1, max_size=8)


@given(pairs, st.integers(-100, 100))
def test_the_sides_change_places_with_the_sign(sides, bound):
    effect, other = zip(*sides, strict=True)
    forth = claims.over(effect, other, at_least=bound)
    back = claims.over(other, effect, at_most=-bound)
    assert (forth.outcome, forth.low, forth.high) == (back.outcome, -back.high, -back.low)


def test_sentences_of_over():
    with pytest.raises(
        ValueError, match="^effect has 3 values and other 1, but they are differen"
    ):
        claims.over([1, 2, 3], 1, at_least=0)
    with pytest.raises(ValueError, match="^value 2 of 2 of other is NaN, but every value must be"):
        claims.over([1, 2], [1, math.nan], at_least=0)
    with pytest.raises(ValueError, match="^effect is empty, but at least one number is needed"):
        claims.over([], [1], at_least=0)
    with pytest.raises(
        ValueError, match=r"^0 bounds .*one is needed: pass at_least= or at_most=$"
    ):
        claims.over([1], [1])


@given(st.floats(-1e6, 1e6), st.integers(1, 12))
def test_equal_values_meet_a_bound_that_they_touch(value, n):
    # A mean that is rounded on its way could fall below the value all seeds agree on.
    found = claims.test([value] * n, at_least=value, exact=n < 3)
    assert (found.low, found.mean, found.high, found.outcome) == (value, value, value, "met")


numbers = st.lists(st.integers(-1000, 1000), min_size=1, max_size=8)


@given(numbers, st.integers(-1000, 1000))
def test_mirrored_values_meet_the_mirrored_bound(values, bound):
    mirrored = [-v for v in values]
    at_least, at_most = claims.test(values, at_least=bound), claims.test(mirrored, at_most=-bound)
    assert at_least.outcome == at_most.outcome
    assert (at_least.low, at_least.high) == (-at_most.high, -at_most.low)


@given(numbers, st.integers(1, 100))
def test_the_interval_scales_with_the_unit_and_contains_the_mean(values, factor):
    one = claims.test(values, at_least=0)
    other = claims.test([factor * v for v in values], at_least=0)
    assert one.low <= one.mean <= one.high
    # float64, sums of integers below 1e6: a few roundings.
    assert other.low == pytest.approx(factor * one.low, rel=1e-9, abs=1e-6)
    assert other.high == pytest.approx(factor * one.high, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    "measured, error, sentence",
    [
        ([], ValueError, "measured is empty, but at least one number is needed: pass one per"),
        ([0, math.nan], ValueError, "value 2 of 2 of measured is NaN, but every value must be"),
        (torch.tensor([math.inf]), ValueError, "value 1 of 1 of measured is infinite, but every"),
        (torch.ones(3, 2), TypeError, "value 1 of 3 of measured is a list, but one number per"),
        ([torch.ones(2)], TypeError, "value 1 of 1 of measured is a Tensor, but one number per"),
        (["0.1"], TypeError, "value 1 of 1 of measured is a str, but one number per seed is"),
        ([1j], TypeError, "value 1 of 1 of measured is a complex, but one number per seed is"),
        ("0.1", TypeError, "measured is a str, but numbers are needed: pass a number or one"),
        ({"a": 1}, TypeError, "measured is a dict, but numbers are needed: pass a number or"),
        (None, TypeError, "measured is a NoneType, but numbers are needed: pass a number or"),
    ],
)
def test_sentences_for_what_cannot_be_measured(measured, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        claims.test(measured, at_least=0)


@pytest.mark.parametrize(
    "bounds, sentence",
    [
        (
            {},
            r"0 bounds were given \(none\), exactly one is needed: pass at_least=, at_most= or "
            r"between=\(low, high\)$",
        ),
        ({"at_least": 0, "at_most": 1}, r"2 bounds were given \(at_least, at_most\), exactly"),
        ({"at_least": math.nan}, "value 1 of 1 of at_least is NaN, but every value must be"),
        ({"between": (2, 1)}, r"between is \(2, 1\), but a lower and a higher bound are needed"),
        ({"between": (1, 1)}, r"between is \(1, 1\), but a lower and a higher bound are needed"),
    ],
)
def test_sentences_for_bounds(bounds, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        claims.test(0, **bounds)


def test_sentences_for_bounds_of_the_wrong_kind(as_a_user):
    with pytest.raises(
        ValueError, match=r"^at_least is \(0, 1\), but one number is needed: pass a"
    ):
        claims.test(0, at_least=(0, 1))
    with pytest.raises(ValueError, match=r"^between is \(0, 1, 2\), but a lower and a higher"):
        claims.test(0, between=(0, 1, 2))


# Verdicts


def expected(effect, control, rival):
    """Section 6 of the design as a table, first row that fits; `...` fits anything."""
    table = [
        ("undecided", ..., ..., "not separable here"),
        ("missed", ..., ..., "does not hold here"),
        ("met", "missed", ..., "true but not specific"),
        ("met", ..., "missed", "holds for another reason"),
        ("met", "undecided", ..., "not separable here"),
        ("met", ..., "undecided", "not separable here"),
        ("met", ..., ..., "holds"),
    ]
    given = (effect, control, rival)
    for *row, verdict in table:
        if all(cell is ... or cell == outcome for cell, outcome in zip(row, given, strict=True)):
            return verdict


PARTS = {"met": MET, "missed": MISSED, "undecided": UNDECIDED}
LEFT = {
    "met": claims.over([2, 2, 2], [1, 1, 1], at_least=0.5),
    "missed": claims.over([2, 2, 2], [2, 2, 2], at_least=0.5),
    "undecided": claims.over([2], [1], at_least=0.5),
    "absent": None,
}


@pytest.mark.parametrize(
    "effect, control, rival",
    list(itertools.product(PARTS, LEFT, LEFT)),
)
def test_the_verdict_for_every_combination(effect, control, rival, capsys, monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    verdict = expected(effect, control, rival)
    parts = {"effect": PARTS[effect], "control": LEFT[control], "rival": LEFT[rival]}
    check(**parts, verdicts={"digits": verdict})
    assert capsys.readouterr().out == "claim metric/tear: as recorded\n"
    assert claims.record._checked["metric/tear"]["verdict"] == verdict
    for other in set(claims.record.VERDICTS) - {verdict}:
        with pytest.raises(claims.ClaimDiffers, match=f"recorded '{other}'"):
            check(**parts, verdicts={"digits": other})


def test_a_claim_that_differs_stops_a_strict_run_with_one_sentence(monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    effect = [0.1, 0.12, 0.11]
    with pytest.raises(claims.ClaimDiffers) as raised:
        check(
            effect=claims.test(effect, at_least=0.2),
            control=claims.over(effect, [0.06, 0.08, 0.07], at_least=0.1),
        )
    assert str(raised.value) == (
        "claim metric/tear: recorded 'holds' on digits, this run says 'does not hold here' "
        "(effect 0.11 (0.09314 to 0.1269), bound at least 0.2: missed; over the control 0.04 "
        "(0.04 to 0.04), bound at least 0.1: missed): undo what changed the measurement, or "
        "record the new verdict in its chapter if it is the right one"
    )


def test_a_claim_recorded_as_failing_that_suddenly_holds_stops_a_strict_run(monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    with pytest.raises(claims.ClaimDiffers, match="'does not hold here' on digits.* says 'holds'"):
        check(verdicts={"digits": "does not hold here"})


def test_a_reader_who_changed_something_sees_a_box(outputs):
    (output,) = outputs(check, effect=MISSED)
    assert output.data["text/plain"].startswith("Not what the book recorded. claim metric/tear:")
    assert '<div id="claim-metric/tear"' in output.data["text/html"]
    assert "recorded 'holds'" in Page(output.data["text/html"]).text
    assert output.metadata["network-geometry-claim"]["verdict"] == "does not hold here"


def test_without_a_recorded_verdict_nothing_is_raised(outputs, monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    (output,) = outputs(check, data="mnist")
    line = "claim metric/tear: no verdict recorded"
    assert output.data == {
        "text/plain": line,
        "text/html": f'<p id="claim-metric/tear">{line}</p>',
    }
    assert output.metadata["network-geometry-claim"]["recorded"] is None


@pytest.mark.parametrize("size", run.SIZES[1:])
def test_every_size_has_verdicts_of_its_own(size, outputs, monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    monkeypatch.setenv(run.VARIABLE, run.ASKED[size])
    data, said = run.name("digits"), {"digits": "does not hold here"}
    (output,) = outputs(check, data=data, verdicts=said | {f"digits {size}": "holds"})
    assert output.data["text/plain"].endswith(": as recorded")
    assert output.metadata["network-geometry-claim"]["data"] == f"digits {size}"
    (output,) = outputs(check, data=data, verdicts=said)
    assert output.data["text/plain"].endswith(": no verdict recorded")
    with pytest.raises(claims.ClaimDiffers, match=f"on digits {size}, this run says 'holds'"):
        check(data=data, verdicts={"digits": "holds", f"digits {size}": "does not hold here"})


def test_the_size_is_in_the_name_that_the_chapter_gives_and_nowhere_else(outputs, monkeypatch):
    monkeypatch.setenv(run.VARIABLE, "hour")
    (output,) = outputs(check, data="circles", verdicts={"circles": "holds"})
    assert output.metadata["network-geometry-claim"]["data"] == "circles"
    assert output.data["text/plain"].endswith(": as recorded")


def test_the_output_and_its_record_are_those_the_book_reads(outputs):
    effect = torch.tensor([0.5, 0.25])
    (output,) = outputs(
        check,
        effect=claims.test(effect, between=(0.2, 0.6), exact=True),
        rival=claims.over(effect, [0.25, 0.125], at_least=0.1, exact=True),
        paper="A (2022)",
    )
    line = "claim metric/tear: as recorded"
    assert output.data == {
        "text/plain": line,
        "text/html": f'<p id="claim-metric/tear">{line}</p>',
    }
    record = output.metadata["network-geometry-claim"]
    assert record == {
        "key": "metric/tear",
        "says": "Training tears.",
        "paper": "A (2022)",
        "data": "digits",
        "because": "five seeds",
        "verdict": "holds",
        "recorded": "holds",
        "effect": {
            "values": [0.5, 0.25],
            "mean": 0.375,
            "low": 0.25,
            "high": 0.5,
            "at_least": 0.2,
            "at_most": 0.6,
            "exact": True,
            "outcome": "met",
            "other": None,
        },
        "control": None,
        "rival": {
            "values": [0.25, 0.125],
            "mean": 0.1875,
            "low": 0.125,
            "high": 0.25,
            "at_least": 0.1,
            "at_most": None,
            "exact": True,
            "outcome": "met",
            "other": [0.25, 0.125],
        },
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_checking_again_replaces_the_record_at_its_place(capsys):
    check()
    check(key="metric/apart")
    check(says="Training tears more.")
    assert list(claims.record._checked) == ["metric/tear", "metric/apart"]
    assert claims.record._checked["metric/tear"]["says"] == "Training tears more."


@pytest.mark.parametrize(
    "changes, error, sentence",
    [
        ({"key": "metric tear"}, ValueError, "the claim key is 'metric tear', but it becomes"),
        ({"key": ""}, ValueError, "the claim key is '', but it becomes part of an address: use"),
        ({"key": 'a"b'}, ValueError, "the claim key is 'a\"b', but it becomes part of an address"),
        (
            {"says": " "},
            ValueError,
            "claim metric/tear: says is ' ', but the book prints it: pass",
        ),
        ({"because": ""}, ValueError, "claim metric/tear: because is '', but the book prints"),
        ({"data": ""}, ValueError, "claim metric/tear: data is '', but the book prints it: pass"),
        ({"paper": None}, ValueError, "claim metric/tear: paper is None, but the book prints it"),
        (
            {"paper": ""},
            ValueError,
            "claim metric/tear: paper is '', but the book prints it: pass",
        ),
        (
            {"verdicts": {"mnist": "Holds"}},
            ValueError,
            "claim metric/tear: the verdict recorded for mnist is 'Holds', but only five are "
            f"used: write one of {FIVE}",
        ),
        ({"effect": 0.3}, TypeError, "claim metric/tear: effect is a float, but a measured quant"),
        ({"effect": None}, TypeError, "claim metric/tear: effect is a NoneType, but a measured"),
        (
            {"rival": [1]},
            TypeError,
            "claim metric/tear: rival is a list, but a measured quantity with its bound is "
            r"needed: pass rival=claims.over\(effect, rival, at_least=...\)$",
        ),
        (
            {"control": MET},
            ValueError,
            "claim metric/tear: control is a test of the control alone, but what is left of "
            "the effect over it is needed: pass "
            r"control=claims.over\(effect, control, at_least=...\)$",
        ),
        (
            {"effect": claims.test([0, 0, 0], at_most=0.3), "rival": LEFT["met"]},
            ValueError,
            "claim metric/tear: the effect is held at most 0.3 and what is left over the rival at "
            "least 0.5, but both must go the same way: at_most=-0.1 belongs to at_most=0.3",
        ),
        (
            {"control": claims.over([0, 0, 0], [1, 1, 1], at_most=-0.5)},
            ValueError,
            "claim metric/tear: the effect is held at least 0 and what is left over the control "
            "at most −0.5, but both must go the same way",
        ),
    ],
)
def test_sentences_of_check(as_a_user, changes, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        check(**changes)
    assert claims.record._checked == {}


def test_what_is_left_of_a_distance_from_a_window_may_go_either_way(capsys):
    stretch, untrained = [1.0, 1.02, 0.98], [0.6, 0.7, 0.5]
    off = [[abs(1 - value) for value in side] for side in (stretch, untrained)]
    check(
        effect=claims.test(stretch, between=(0.9, 1.1)),
        control=claims.over(*off, at_most=-0.1),
    )
    assert capsys.readouterr().out == "claim metric/tear: as recorded\n"


# What is shown


class Page(html.parser.HTMLParser):
    """Tags in order with their attributes, and the text; fails where tags do not nest."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(source)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("br", "img", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text += data


HOUR = types.SimpleNamespace(
    name="metric", size="hour", date="2026-11-30", command="python tools/keep.py part/metric"
)


def kept(**values):
    """A kept result of the chapter `metric`, as `results.kept` returns it."""
    return types.SimpleNamespace(**vars(HOUR), values=values)


def short(verdict, effect, control=None, rival=None):
    parts = {"effect": effect, "control": control, "rival": rival}
    return {"verdict": verdict} | {
        w: part and dataclasses.asdict(part) for w, part in parts.items()
    }


def test_the_table_names_every_test_with_bound_and_verdict(outputs):
    control = claims.over([0.3, 0.5, 0.7], [0.2, 0.3, 0.4], at_least=0.5)
    outputs(check, says="A <b> & C.", control=control)
    outputs(check, key="metric/other", effect=UNDECIDED, paper="B (2022)")
    (output,) = outputs(claims.beside, kept())
    page = Page(output.data["text/html"])
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == 1 and tags.count("tbody") == 2
    # JupyterLab sets each cell to the right, so what the table says is not heard there.
    looks = [attrs.get("style", "") for tag, attrs in page.tags if tag in ("th", "td")]
    assert all("text-align: left; vertical-align: top" in look for look in looks)
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert scopes == ["col"] * 2 + ["rowgroup", *["row"] * 4] + ["rowgroup", *["row"] * 3]
    assert [a["href"] for tag, a in page.tags if tag == "a"] == [
        "#claim-metric/tear",
        "#claim-metric/other",
    ]
    assert "A <b> & C. (a reader's guess)ondigits, 3 seedsverdicttrue but not" in page.text
    assert output.data["text/plain"].splitlines() == [
        "Kept: the run of size hour of 2026-11-30, python tools/keep.py part/metric.",
        "metric/tear: A <b> & C. (a reader's guess)",
        "  this run, digits, 3 seeds: true but not specific (recorded: holds)",
        "    effect, at least 0: 1 (1 to 1), met",
        "    over the control, at least 0.5: 0.2 (0.03141 to 0.3686), missed; control 0.3",
        "metric/other: Training tears. (B (2022))",
        "  this run, digits, 3 seeds: not separable here (recorded: holds)",
        "    effect, at least 0: 0 (-1.686 to 1.686), undecided",
    ]
    # Nothing is lost on the way to the page, and the two forms say the same.
    for line in output.data["text/plain"].splitlines():
        assert line.rpartition(": ")[2].partition(" (recorded")[0] in page.text


def test_kept_values_stand_beside_those_of_the_build(outputs):
    outputs(check, rival=LEFT["met"])
    outputs(check, key="metric/toy", data="torus", verdicts={"torus": "holds"})
    outputs(check, key="other/tear")
    effect, other_bound = claims.test([3] * 5, at_least=0), claims.test([-1] * 4, at_least=2)
    hour = kept(
        digits={"tear": short("holds", effect, rival=LEFT["met"]), "gone": short("holds", MET)},
        mnist={"tear": short("does not hold here", other_bound)},
        torus={"toy": short("holds", claims.test(2, at_least=0, exact=True))},
    )
    (output,) = outputs(claims.beside, hour)
    assert output.data["text/plain"].splitlines() == [
        "Kept: the run of size hour of 2026-11-30, python tools/keep.py part/metric.",
        "metric/tear: Training tears. (a reader's guess)",
        "  this run, digits, 3 seeds: holds",
        "    effect, at least 0: 1 (1 to 1), met",
        "    over the rival, at least 0.5: 1 (1 to 1), met; rival 1",
        "  kept, digits, 5 seeds: holds",
        "    effect, at least 0: 3 (3 to 3), met",
        "    over the rival, at least 0.5: 1 (1 to 1), met; rival 1",
        "  kept, mnist, 4 seeds: does not hold here",
        "    effect, at least 0: -1 (-1 to -1), at least 2: missed",
        "metric/toy: Training tears. (a reader's guess)",
        "  this run, torus, 3 seeds: holds",
        "    effect, at least 0: 1 (1 to 1), met",
        "  kept, torus, exact: holds",
        "    effect, at least 0: 2, met",
    ]
    page = Page(output.data["text/html"])
    assert page.text.startswith("Kept: the run of size hour of 2026-11-30, python tools/keep.py ")
    # All blocks have as many columns as the widest, so that the table nests under one head.
    spans = [int(attrs["colspan"]) for tag, attrs in page.tags if "colspan" in attrs]
    assert spans == [2, 4, 4]
    assert [tag for tag, _ in page.tags].count("td") == 3 * (4 + 3)
    assert (
        "effect, at least 01 (1 to 1), met3 (3 to 3), met-1 (-1 to -1), at least 2: " in page.text
    )
    assert "other/tear" not in page.text and "gone" not in page.text


def test_a_test_that_only_one_run_has_leaves_the_other_empty(outputs):
    outputs(check)
    (output,) = outputs(claims.beside, kept(digits={"tear": short("holds", MET, LEFT["met"])}))
    assert (
        "over the control1 (1 to 1), at least 0.5: met; control 1"
        in Page(output.data["text/html"]).text
    )


def test_the_other_side_of_an_effect_is_shown(outputs):
    outputs(check, effect=claims.over([3, 4, 5], [2, 3, 4], at_least=0.5))
    (output,) = outputs(claims.beside, kept())
    assert "effect, at least 0.5: 1 (1 to 1), met; other side 3" in output.data["text/plain"]


def test_what_is_no_kept_result_is_refused():
    with pytest.raises(
        TypeError, match="^kept is a dict, but a kept result is needed: pass resul"
    ):
        claims.beside({"digits": {}})


def test_before_a_claim_is_checked_nothing_stands_beside(outputs):
    outputs(check, key="other/tear")
    (output,) = outputs(claims.beside, kept(digits={}))
    assert output.data["text/plain"] == "no claim of metric has been checked yet"


WORDS = {"unit": "pixel units", "more_means": "the nearest other class is farther away"}


def test_a_column_is_stored_in_the_metadata_of_one_line(outputs):
    values = {"trained": torch.tensor([1.0, 2.0]), "untrained": 3}
    (output,) = outputs(claims.column, "margin", values, **WORDS)
    line = "column margin: stored"
    assert output.data == {"text/plain": line, "text/html": f'<p id="column-margin">{line}</p>'}
    record = {"name": "margin", **WORDS, "values": {"trained": [1.0, 2.0], "untrained": [3.0]}}
    assert output.metadata == {"network-geometry-column": record}


def test_sentences_of_column(as_a_user):
    with pytest.raises(ValueError, match="^the column name is 'a b', but it becomes part of an"):
        claims.column("a b", {"trained": 1}, **WORDS)
    with pytest.raises(ValueError, match="^column a: values is {}, but numbers for at least one"):
        claims.column("a", {}, **WORDS)
    with pytest.raises(ValueError, match="^value 2 of 2 of column a, trained is NaN, but every"):
        claims.column("a", {"trained": [1, math.nan]}, **WORDS)
    for word in WORDS:
        with pytest.raises(ValueError, match=f"^column a: {word} is ' ', but the book prints it"):
            claims.column("a", {"trained": 1}, **WORDS | {word: " "})


def test_a_sentence_is_shown_as_markdown_and_printed_elsewhere(outputs):
    (output,) = outputs(claims.say, "**1.5** $r$")
    assert output.data == {"text/plain": "**1.5** $r$", "text/markdown": "**1.5** $r$"}


def test_outside_a_notebook_lines_are_printed(capsys):
    check()
    claims.column("margin", {"trained": 1}, **WORDS)
    claims.say("**1.5**")
    claims.beside(kept())
    assert capsys.readouterr().out.splitlines() == [
        "claim metric/tear: as recorded",
        "column margin: stored",
        "**1.5**",
        "Kept: the run of size hour of 2026-11-30, python tools/keep.py part/metric.",
        "metric/tear: Training tears. (a reader's guess)",
        "  this run, digits, 3 seeds: holds",
        "    effect, at least 0: 1 (1 to 1), met",
    ]


# A real notebook, compared by nbval


def claim_cell(key, values):
    line = f"claim {key}: as recorded"
    source = (
        "# NBVAL_CHECK_OUTPUT\n"
        f'claims.check("{key}", data="toy", says="It holds.", because="by construction",\n'
        f'    paper="a reader\'s guess",\n'
        f"    effect=claims.test({values}, at_least=0.2),\n"
        '    verdicts={"toy": "holds"})'
    )
    cell = new_code_cell(source, execution_count=1, id=key, metadata={"claim": key})
    data = {"text/html": f'<p id="claim-{key}">{line}</p>', "text/plain": line}
    cell.outputs = [new_output("display_data", data=data)]
    return cell


def test_nbval_passes_a_claim_cell_and_fails_it_when_the_values_change(tmp_path):
    cells = [
        new_code_cell("from companion.book import claims", id="start"),
        claim_cell("tear", [0.25, 0.3, 0.35]),
        claim_cell("changed", [0.05, 0.1, 0.15]),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = tmp_path / "chapter.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)
    root = str(Path(claims.__file__).parents[3])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV_")}
    environment |= {"PYTHONPATH": root, "COMPANION_STRICT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nbval alone starts in half the time
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    command += ["-p", "no:cacheprovider", "-p", "nbval.plugin", "-q", "--nbval", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "claim changed: recorded 'holds' on toy, this run says 'does not hold" in done.stdout
