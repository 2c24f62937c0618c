"""What is being run: the three sizes, the names of runs, and the interval over seeds."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import run

ASKED = {"": "build", "hour": "hour", "1": "full"}


@pytest.fixture
def ask(monkeypatch):
    """Set the variable as a shell would; None unsets it."""

    def set_to(value):
        if value is None:
            monkeypatch.delenv(run.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(run.VARIABLE, value)

    set_to(None)
    return set_to


# ---- sizes and names -------------------------------------------------------------------------


def test_the_size_follows_the_environment_at_every_look(ask):
    assert run.size == "build"
    for asked, size in ASKED.items():
        ask(asked)
        assert run.size == size
    ask(None)
    assert run.size == "build"


@pytest.mark.parametrize("asked", ["full", "0", "true", " hour", "Hour", "build"])
def test_any_other_size_is_refused_by_every_name(ask, asked):
    ask(asked)
    sentence = f"^NETWORK_GEOMETRY_FULL is '{asked}', but .* unset .* 'hour' or to '1' .*full"
    for use in (lambda: run.size, lambda: run.name("mnist"), lambda: run.pick(build=1)):
        with pytest.raises(ValueError, match=sentence):
            use()


def test_a_run_is_strict_where_the_variable_is_one(monkeypatch):
    monkeypatch.delenv("COMPANION_STRICT", raising=False)
    assert run.strict() is False
    for said in ("", "0", "1"):
        monkeypatch.setenv("COMPANION_STRICT", said)
        assert run.strict() is (said == "1")


def test_only_one_room_reads_whether_a_run_is_strict():
    package = Path(run.__file__).parent
    reads = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if "environ" in (text := path.read_text(encoding="utf-8")) and "COMPANION_STRICT" in text
    ]
    assert reads == ["run.py"]


def test_an_attribute_that_is_not_there_is_missing_as_in_any_module():
    with pytest.raises(AttributeError, match="^module 'companion.run' has no attribute 'sizes'$"):
        run.sizes  # noqa: B018
    assert dir(run) == sorted(run.__all__) and "size" not in vars(run)  # which is asked anew


def test_a_run_is_called_after_its_data_set_and_its_size(ask):
    names = []
    for asked in ASKED:
        ask(asked)
        names.append(run.name("mnist"))
    assert names == ["mnist", "mnist hour", "mnist full"]
    assert [run.split(name) for name in names] == [("mnist", size) for size in run.SIZES]


@pytest.mark.parametrize("name", ["mnist hour", "torus full", ""])
def test_a_name_that_has_a_size_already_is_refused(name):
    with pytest.raises(ValueError, match=f"^the data set is called '{name}', but a name without"):
        run.name(name)


def test_a_word_that_only_ends_like_a_size_is_none():
    assert run.split("happyhour") == ("happyhour", "build")
    assert run.split("two-moons") == ("two-moons", "build")


@pytest.mark.parametrize(
    ("sizes", "picked"),
    [
        (dict(build=1), (1, 1, 1)),
        (dict(build=1, hour=2), (1, 2, 2)),
        (dict(build=1, full=3), (1, 1, 3)),
        (dict(build=1, hour=2, full=3), (1, 2, 3)),
        # "All" is written as None, and zero is a size like any other.
        (dict(build=1, hour=None, full=0), (1, None, 0)),
        (dict(build=(1, "a"), full=range(9)), ((1, "a"), (1, "a"), range(9))),
    ],
)
def test_a_size_that_is_not_given_is_the_next_smaller_one(ask, sizes, picked):
    found = []
    for asked in ASKED:
        ask(asked)
        found.append(run.pick(**sizes))
    assert tuple(found) == picked


def test_a_size_without_that_of_the_build_is_no_call():
    with pytest.raises(TypeError, match="build"):
        run.pick(hour=2)


ROOT = Path(__file__).resolve().parents[1]


def code(path):
    """What a file runs: of a notebook the code cells alone, since its prose names the variable."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def test_no_other_file_reads_the_variable():
    files = [path for folder in ("companion", "tools", "benchmarks") for path in
             (ROOT / folder).rglob("*.py")]  # fmt: skip
    files += [path for kind in ("py", "ipynb") for path in (ROOT / "book").rglob(f"*.{kind}")]
    naming = [path.relative_to(ROOT).as_posix() for path in files if run.VARIABLE in code(path)]
    assert naming == ["companion/run.py"]
    # Only what starts a larger run may set it.
    setting = [path.name for path in files if "run.VARIABLE" in code(path)]
    assert set(setting) <= {"keep.py"}


# ---- the interval ----------------------------------------------------------------------------


def test_three_values_by_hand():
    # s = 1 and n = 3: t(0.95; 2) has the closed form (2p - 1) √(2 / (1 - (2p - 1)²)).
    t = 0.9 * math.sqrt(2 / (1 - 0.81))
    low, high = run.interval([1, 2, 3])
    assert low == pytest.approx(2 - t / math.sqrt(3), rel=1e-12)
    assert high == pytest.approx(2 + t / math.sqrt(3), rel=1e-12)


numbers = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40)


@given(numbers)
def test_it_is_the_interval_of_scipy(values):
    low, high = run.interval(values)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    wanted = scipy.stats.t.interval(0.9, len(values) - 1, np.mean(values), error or 1e-300)
    assert (low, high) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_it_covers_the_true_mean_nine_times_in_ten():
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    inside = np.mean([low <= 0 <= high for low, high in map(run.interval, draws)])
    assert inside == pytest.approx(0.9, abs=0.015)  # three standard errors of 4,000 draws


@pytest.mark.parametrize(("values", "ends"), [([0.5], (0.5, 0.5)), ([3, 1], (1, 3))])
def test_one_and_two_values_have_their_range(values, ends):
    assert run.interval(values) == ends


@given(st.floats(-1e6, 1e6), st.integers(1, 12))
def test_equal_values_have_no_width(value, n):
    assert run.interval([value] * n) == (value, value)


@pytest.mark.parametrize(
    "values",
    [
        (1, 2, 4),
        np.array([1, 2, 4]),
        np.array([1, 2, 4], np.float32),
        pd.Series([1, 2, 4], index=[7, 3, 3]),
        torch.tensor([1.0, 2.0, 4.0], requires_grad=True),
        (value for value in (1, 2, 4)),
    ],
)
def test_values_come_in_many_forms(values):
    found = run.interval(values)
    assert found == run.interval([1.0, 2.0, 4.0]) and all(type(end) is float for end in found)


@pytest.mark.parametrize("values", [[], [1, math.nan, 2], [math.inf], [-math.inf, 1]])
def test_what_has_no_interval_is_refused(values):
    with pytest.raises(ValueError, match=r"^the values are \[.*\], but finite numbers, one per"):
        run.interval(values)


def test_seaborn_takes_it():
    import seaborn
    from matplotlib.figure import Figure

    table = pd.DataFrame({"x": [0, 0, 0, 1, 1, 1], "y": [1.0, 2, 3, 4, 4, 4]})
    axes = Figure().subplots()
    seaborn.lineplot(table, x="x", y="y", errorbar=run.interval, ax=axes)
    (band,) = axes.collections
    drawn = band.get_paths()[0].vertices
    assert drawn[drawn[:, 0] == 0, 1].min() == pytest.approx(run.interval([1, 2, 3])[0])
    assert set(drawn[drawn[:, 0] == 1, 1]) == {4.0}
