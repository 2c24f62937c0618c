"""Kept results are made by executing the chapter itself, in a larger size than the build's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import reads
from nbformat.v4 import new_code_cell, new_notebook, writes

import keep
from companion import run, storage
from companion.book import claims, results

CELLS = (
    "from companion import run\nfrom companion.book import claims, results",
    'results.kept("there is none yet")',
    'claims.check("demo/length", data=run.name("{data}"), says="It is long.", because="so",\n'
    '    paper="a reader\'s guess",\n'
    "    effect=claims.test(run.pick(build=[0.1], hour=[1, 2, 3]), at_least=0.1),\n"
    '    verdicts={{"{data}": "holds", "{data} hour": "does not hold here"}})',
    'claims.check("demo/images", data=run.name(__import__("os").environ["COMPANION_DATASET"]),\n'
    '    says="It is.", because="so", paper="a reader\'s guess",\n'
    "    effect=claims.test([2.00004, 2, 2], between=(1, 3)),\n"
    "    rival=claims.over([2, 3], [1.00004, 1], at_least=1 / 3), verdicts={{}})",
)


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """A chapter of its own in a checkout of its own: `demo(data)` is its path."""
    monkeypatch.setattr(results, "_folder", lambda: tmp_path)
    monkeypatch.setattr(storage, "checkout", lambda: tmp_path)
    monkeypatch.setattr(keep, "ROOT", tmp_path)
    # A strict caller, of another size: neither must reach the run.
    monkeypatch.setenv("COMPANION_STRICT", "1")
    monkeypatch.setenv(run.VARIABLE, "1")

    def made(data):
        spec = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
        cells = [new_code_cell(text.format(data=data)) for text in CELLS]
        path = tmp_path / "book" / "part" / "demo.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(writes(new_notebook(cells=cells, metadata=spec)))
        return path

    return made


@pytest.fixture
def broken():
    """Names of the data sets on which the chapter fails."""
    return set()


@pytest.fixture
def asked(monkeypatch, broken):
    """Nothing is executed: what is asked for, (data set, size), and one record for each."""
    runs = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers, mp_context):
            assert workers == keep.SIDE_BY_SIDE
            super().__init__(1)

    def measured(chapter, data, size, strict):
        runs.append((data, size))
        if data in broken:
            raise ValueError("no network came so low")
        test = claims.test([1, 2, 3], at_least=0)
        record = dict(key="demo/images", data=data, verdict="holds", effect=vars(test))
        return [record | dict(control=None, rival=None)]

    monkeypatch.setattr(keep, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(keep, "measured", measured)
    return runs


def test_a_chapter_is_executed_on_both_data_sets_and_kept(demo):
    kept = keep.keep(demo("torus"), size="hour")
    assert kept == results.kept("demo")
    assert kept.command == "python tools/keep.py part/demo"
    assert kept.size == "hour"
    low, high = run.interval([1, 2, 3])
    effect = {
        "values": [1, 2, 3],
        "mean": 2,
        "low": float(f"{low:.4g}"),
        "high": float(f"{high:.4g}"),
        "at_least": 0.1,
        "at_most": None,
        "exact": False,
        "outcome": "met",
        "other": None,
    }
    toy = {"verdict": "holds", "effect": effect, "control": None, "rival": None}
    # Numbers are kept to four digits; a bound is not measured, and is kept as it is.
    same = {"values": [2, 2, 2], "mean": 2, "low": 2, "high": 2, "at_least": 1, "at_most": 3}
    left = {"values": [1, 2], "mean": 1.5, "low": 1, "high": 2, "at_least": 1 / 3}
    left |= {"outcome": "undecided", "other": [1, 1]}
    once = {"verdict": "not separable here", "effect": effect | same, "control": None}
    once["rival"] = effect | left
    assert kept.values == {
        "torus": {"length": toy},
        "digits": {"images": once},
        "mnist": {"images": once},
    }


def test_another_size_is_named_by_the_command(demo, asked):
    kept = keep.keep(demo("torus"), size="full")
    assert kept.command == "python tools/keep.py part/demo --size full" and kept.size == "full"
    assert asked == [("digits", "full"), ("mnist", "full")]


def test_a_chapter_names_the_data_sets_that_it_is_kept_on(demo, asked):
    path = demo("torus")
    named = 'import torch\n%pip install x\nKEPT_ON = "cifar10-small", "digits"'
    notebook = reads(path.read_text(), 4)
    assert keep.kept_on(notebook) == ("digits", "mnist")
    notebook.cells.insert(0, new_code_cell(named))
    assert keep.kept_on(notebook) == ("cifar10-small", "digits")
    path.write_text(writes(notebook))
    assert list(keep.keep(path, size="hour").values) == ["cifar10-small", "digits"]
    assert asked == [("cifar10-small", "hour"), ("digits", "hour")]


def test_a_failure_on_one_data_set_loses_none_of_the_others(demo, asked, broken):
    path = demo("torus")
    broken |= {"digits", "mnist"}
    with pytest.raises(RuntimeError, match=r"failed on digits, mnist; kept: nothing\. Mend"):
        keep.keep(path, size="hour")
    assert not list(path.parents[2].glob("*.json"))
    broken -= {"mnist"}
    with pytest.raises(RuntimeError, match=r"digits; kept: mnist.*\n\ndigits: no network came so"):
        keep.keep(path, size="hour")
    assert list(results.kept("demo").values) == ["mnist"]


def test_a_strict_run_is_stopped_by_a_verdict_that_is_not_as_recorded(demo, monkeypatch):
    for name in ("COMPANION_DATASET", "COMPANION_PROGRESS"):  # they are as before afterwards
        monkeypatch.setenv(name, "")
    with pytest.raises(CellExecutionError, match="demo/length"):
        keep.measured(demo("torus"), "digits", "hour", True)


@pytest.mark.parametrize(
    "named",
    [
        'KEPT_ON = "digits"',
        "KEPT_ON = ()",
        'KEPT_ON = "digits", "minst"',
        "KEPT_ON = tuple(names)",
        'KEPT_ON = ("digits",)\nKEPT_ON = ("mnist",)',
    ],
)
def test_the_sentence_for_data_sets_that_are_not_written_out(named):
    notebook = new_notebook(cells=[new_code_cell(named)])
    with pytest.raises(ValueError, match="^KEPT_ON is .*, but the data sets of a kept run a"):
        keep.kept_on(notebook)


def test_a_chapter_or_a_size_that_is_none_is_named(capsys):
    assert keep.main(["distances/no_such"]) == 1
    assert "no chapter is called 'distances/no_such'" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        keep.main(["distances/no_such", "--size", "day"])
    assert "invalid choice: 'day'" in capsys.readouterr().err


@pytest.mark.parametrize("place", [None, Path("elsewhere")])
def test_nothing_is_run_where_it_could_not_be_kept(place, capsys, monkeypatch):
    monkeypatch.setattr(storage, "checkout", lambda: place)
    assert keep.main(["prologue"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"companion runs from {place or 'an installed package'}, but what is")
