"""The bar: text or a widget after a while, nothing before that, nothing after it or when quiet."""

import io
import itertools
import sys

import pytest
import tqdm.std
from nbformat.v4 import new_code_cell, new_notebook

import kernels
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


def test_the_bar_decides_by_itself(monkeypatch):
    given = {}

    class Recorded(progress._Bar):
        def __init__(self, *args, **options):
            given.update(options)
            super().__init__(*args, **options)

    monkeypatch.setattr(progress, "_Bar", Recorded)
    bar(total=3).close()
    assert given["disable"] is False and given["file"] is sys.stderr
    assert type(bar(total=3, shown=False)).__mro__[2] is tqdm.std.tqdm


def test_words_beside_the_bar_do_not_show_it_early(monkeypatch, capsys):
    # What was shown before its time would not be wiped away: a short fit would leave it there.
    now = [0.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    with bar(total=8, label="steps") as steps:
        for _ in range(3):
            now[0] += 0.6
            steps.update()
            steps.set_postfix_str("loss 0.5")
        assert capsys.readouterr().err == ""
        now[0] += 0.6
        steps.update()
        steps.set_postfix_str("loss 0.4")
        assert "loss 0.4" in capsys.readouterr().err
    assert capsys.readouterr().err.endswith("\r")
    steps.set_postfix_str("closed")
    assert capsys.readouterr().err == ""


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


# ---- in the kernel of a notebook -------------------------------------------------------------

LIVE = """import itertools, sys
import tqdm.std
from companion import progress
from companion.progress import bar
tqdm.std.time = itertools.count().__next__     # a second whenever the bar looks at it
def alive():
    import ipywidgets
    return list(ipywidgets.widgets.widget._instances)"""
WIDGET = "application/vnd.jupyter.widget-view+json"
# A source, and how many widgets it shows; none of them may be left.
USES = {
    "a long wait": ("for _ in bar(range(8), label='steps'): pass", 1),
    "counted by hand": (
        "with bar(total=8) as steps:\n    for _ in range(8):\n        steps.update()\n"
        "        steps.set_postfix_str('loss <b> 0.5')\n    assert alive()",
        1,
    ),
    "no total": ("sum(bar(iter(range(8))))", 1),
    "bytes": ("with bar(total=4096, unit='B') as b: [b.update(512) for _ in range(8)]", 1),
    "over early": ("with bar(total=8) as b: [b.update() for _ in range(5)]", 1),
    "left by an exception": (
        "try:\n    with bar(total=8) as b:\n        for _ in range(5): b.update()\n        1 / 0\n"
        "except ZeroDivisionError as error:\n    kept = error",
        1,
    ),
    "left before it was shown": (
        "try:\n    with bar(range(8)) as b:\n        for _ in b: 1 / 0\n"
        "except ZeroDivisionError as error:\n    kept = error",
        0,
    ),
    "a loop within": ("for _ in bar(range(8)):\n    for _ in bar(range(8)): pass", 1),
    "a short wait": ("with bar(range(8)) as b:\n    assert not alive()\n    next(iter(b))", 0),
    "not shown": ("list(bar(range(8), shown=False))", 0),
    "quiet": (
        "import os\nos.environ['COMPANION_PROGRESS'] = '0'\nlist(bar(range(8)))\n"
        "del os.environ['COMPANION_PROGRESS']",
        0,
    ),
}
MISSING = """for name in ("ipywidgets", "tqdm.notebook", "tqdm.autonotebook"):
    sys.modules.pop(name, None)
sys.modules["ipywidgets"] = None
progress._widget.cache_clear()
for _ in bar(range(8), label="steps"): pass"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """What each use of the bar left in a live notebook, where no test is quiet."""
    cells = [LIVE]
    for source, _ in USES.values():
        cells += [source, "assert not alive(), alive()\nassert not tqdm.std.tqdm._instances"]
    made = new_notebook(cells=[new_code_cell(text) for text in [*cells, MISSING]])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COMPANION_PROGRESS", raising=False)
        kernels.run(made, tmp_path_factory.mktemp("live"), timeout=120)
    assert all(cell.outputs == [] for cell in made.cells[2:-1:2])
    return dict(zip([*USES, "missing"], made.cells[1::2], strict=True))


@pytest.mark.parametrize("use", USES)
def test_the_bar_in_a_live_notebook_is_a_widget_that_goes(live, use):
    shown = [output for output in live[use].outputs if output["output_type"] == "display_data"]
    assert len(shown) == USES[use][1]
    assert all(WIDGET in output["data"] for output in shown)
    assert [o for o in live[use].outputs if o["output_type"] in ("stream", "error")] == []


def test_without_ipywidgets_a_live_notebook_shows_text_that_is_not_red(live):
    assert {output.get("name") for output in live["missing"].outputs} == {"stdout"}
    text = "".join(output["text"] for output in live["missing"].outputs)
    assert "steps:" in text and text.endswith("\r") and "\n" not in text
