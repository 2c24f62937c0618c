"""The bar: plain text on stderr after a while, nothing before that and nothing when quiet."""

import io
import itertools
import sys

import pytest
import tqdm.std

from companion import progress
from companion.progress import bar, quiet


@pytest.fixture(autouse=True)
def _shown(monkeypatch):
    monkeypatch.delenv("COMPANION_PROGRESS", raising=False)


@pytest.fixture
def a_second_each(monkeypatch):
    """A clock that has moved by one second whenever the bar looks at it."""
    clock = itertools.count()
    monkeypatch.setattr(tqdm.std, "time", lambda: float(next(clock)))


def test_a_long_wait_is_shown_as_plain_text_and_wiped_away(a_second_each, capsys):
    with bar(total=8, label="steps", unit="step") as steps:
        for _ in range(8):
            steps.update()
            steps.set_postfix_str("loss 0.5")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "steps:  50%" in shown.err and "4/8" in shown.err and "loss 0.5" in shown.err
    assert "\n" not in shown.err and shown.err.endswith("\r")


def test_a_short_wait_shows_nothing(capsys):
    assert list(bar(range(100), label="steps")) == list(range(100))
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_before_two_seconds(a_second_each, capsys):
    with bar(total=8) as steps:
        steps.update()
        assert capsys.readouterr().err == ""


def test_quiet_under_the_environment(a_second_each, monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_PROGRESS", "0")
    assert quiet()
    assert list(bar(range(20), label="steps")) == list(range(20))
    with bar(total=20) as steps:
        steps.update(20)
        steps.set_postfix_str("loss 0.5")
    assert capsys.readouterr() == ("", "")


def test_a_bar_within_another_one_is_not_shown(a_second_each, capsys):
    for _ in bar(range(8), label="outer"):
        for _ in bar(range(8), label="inner"):
            pass
    assert "outer" in (shown := capsys.readouterr().err) and "inner" not in shown
    with pytest.raises(KeyError), bar(total=8):
        raise KeyError
    # One that ended, by an exception too, hides nothing.
    list(bar(range(8), label="later"))
    assert "later" in capsys.readouterr().err


def test_quiet_where_the_caller_says_so(a_second_each, capsys):
    assert list(bar(range(20), label="steps", shown=False)) == list(range(20))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", ["1", "", "yes"])
def test_other_values_keep_the_bar(monkeypatch, value):
    monkeypatch.setenv("COMPANION_PROGRESS", value)
    assert not quiet()
    with bar(total=1) as steps:
        assert not steps.disable


def test_the_bar_is_text_in_a_notebook_too_and_decides_by_itself(monkeypatch):
    given = {}

    class Recorded(tqdm.std.tqdm):
        def __init__(self, *args, **options):
            given.update(options)
            super().__init__(*args, **options)

    monkeypatch.setattr(progress, "tqdm", Recorded)
    bar(total=3).close()
    assert given["disable"] is False and given["file"] is sys.stderr
    assert type(bar(total=3, shown=False)).__mro__[1] is tqdm.std.tqdm


def test_the_stream_is_that_of_the_moment(a_second_each, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    list(bar(range(10), label="here"))
    assert "here" in stream.getvalue()


def test_bytes_are_counted_in_powers_of_1024(a_second_each, capsys):
    with bar(total=4096, unit="B") as steps:
        for _ in range(4):
            steps.update(1024)
    assert "/4.00k" in capsys.readouterr().err


def test_an_unknown_total_is_counted_up(a_second_each, capsys):
    assert sum(bar(iter(range(10)))) == 45
    assert "9it" in capsys.readouterr().err
