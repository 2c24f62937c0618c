"""Every benchmark runs, at a small size, and its errors are what it says; speed is not tested."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import benchmarks
from benchmarks import rounds

names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
files = [
    name
    for name in names
    if name != "__main__" and hasattr(importlib.import_module(f"benchmarks.{name}"), "main")
]


@pytest.mark.parametrize("name", files)
def test_it_runs_at_a_small_size(name, capsys):
    main = importlib.import_module(f"benchmarks.{name}").main
    assert inspect.signature(main).parameters["small"].default is False
    rows = main(small=True)
    printed = capsys.readouterr().out
    assert len(rows) >= 2
    for row in rows:
        assert row.seconds > 0 and row.low <= row.ratio <= row.high
        assert row.way in printed


def test_distances_near_zero_as_the_benchmark_shows_them(capsys):
    from benchmarks.pairwise import main

    errors = {row.way: row.errors for row in main(small=True)}
    assert all(error < 2e-7 for error in errors["companion.distances.pairwise"].values())
    assert all(error < 2e-7 for error in errors["SciPy cdist, float64"].values())
    assert all(error > 1e-5 for error in errors["torch.cdist, matrix product"].values())


def test_both_forms_of_cka_agree_in_the_benchmark(capsys):
    from benchmarks.cka import main

    rows = main(small=True)
    # Four ways in float32 (eps 1e-7, a few products), then four in float64.
    assert all(row.errors["error"] < 1e-5 for row in rows[:4])
    assert all(row.errors["error"] < 1e-12 for row in rows[4:])


def test_rulers_agree_with_their_alternatives_in_the_benchmark(capsys):
    from benchmarks.rulers import main

    # float32 quantiles and ranks of some hundred pairs, and a float64 decomposition.
    assert all(row.errors["error"] < 1e-5 for row in main(small=True))


def test_all_ways_to_a_hessian_agree_in_the_benchmark(capsys):
    from benchmarks.decision import main

    assert all(row.errors["error"] < 1e-5 for row in main(small=True))


def test_ways_alternate_on_one_thread_and_the_first_round_does_not_count():
    calls = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rows = rounds.alternate(
            {
                "a": lambda: calls.append(("a", torch.get_num_threads())),
                "b": lambda: sum(range(9)),
            },
            rounds=3,
            errors={"b": {"error": 0.5}},
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert calls == [("a", 1)] * 4
    assert [row.way for row in rows] == ["a", "b"]
    assert (rows[0].ratio, rows[0].low, rows[0].high) == (1, 1, 1)
    assert dict(rows[1].errors) == {"error": 0.5}


def test_the_command_names_what_is_missing():
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"],
        capture_output=True,
        text=True,
        cwd=Path(benchmarks.__path__[0]).parent,
    )
    assert result.returncode == 1
    assert "No benchmark named nothing: choose from" in result.stderr
