"""The package as one meets it: rooms that come when they are named, a command, types."""

import importlib
import importlib.util
import json
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import companion
from companion import __main__ as command
from companion import book, run
from companion.datasets import images

ROOT = Path(__file__).resolve().parents[1]
LAZY = [companion, book]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )


def rooms(package) -> set[str]:
    found = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return {name for name in found if not name.startswith("_")}


# ---- rooms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_a_package_completes_to_its_rooms_and_nothing_else(package):
    assert {name for name in dir(package) if not name.startswith("_")} == rooms(package)
    stub = Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert set(re.findall(r"import (\w+) as \1$", stub, re.MULTILINE)) == rooms(package)


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_a_name_of_a_room_gives_that_room(package):
    for name in rooms(package):
        assert package.__getattr__(name) is importlib.import_module(f"{package.__name__}.{name}")


def test_a_room_is_imported_when_it_is_named_and_no_other_is():
    code = (
        "import companion, sys; print(companion.run.SIZES, companion.book.__name__, "
        "sorted(name for name in sys.modules if 'companion' in name or name == 'torch'))"
    )
    said = python("-c", code)
    rooms = ["companion", "companion.book", "companion.run"]
    assert said.stdout.strip() == f"{run.SIZES} companion.book {rooms}", said.stderr


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_what_is_no_room_is_no_attribute(package):
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'torch'"):
        package.torch  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'numpy'"):
        exec(f"from {package.__name__} import numpy")


def test_importing_the_package_imports_that_file_alone():
    code = (
        "import importlib, json, sys, types; before = set(sys.modules); import companion; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    # Without the folders of an installation, which import machinery of their own.
    said = python("-S", "-c", code)
    assert json.loads(said.stdout) == ["companion"], said.stderr


def test_importing_the_package_takes_less_than_10_ms():
    code = (
        "import importlib, time, types; start = time.process_time(); import companion; "
        "print(time.process_time() - start)"
    )
    assert min(float(python("-c", code).stdout) for _ in range(3)) < 0.010


# The rooms in it belong to a chapter each, and are imported by their names.
SHOWN = [companion.__name__ + "." + name for name in sorted(rooms(companion))]
SHOWN += [book.__name__ + "." + name for name in sorted(rooms(book) - {"exercises"})]


@pytest.mark.parametrize("name", SHOWN)
def test_a_room_completes_to_what_is_public_in_it(name):
    room = importlib.import_module(name)
    assert dir(room) == sorted(room.__all__)
    assert all(hasattr(room, word) for word in room.__all__)


# ---- python -m companion ---------------------------------------------------------------------


def test_the_command_says_versions_rooms_data_sets_and_folders(private_cache):
    (private_cache / "networks").mkdir()
    (private_cache / "networks" / "a.pt").touch()
    said = "\n".join(command.report())
    assert said.startswith(f"companion {companion.__version__}, with torch ")
    listed = re.findall(r"^  ([a-z][\w-]*) {2,}\S", said, re.MULTILINE)
    assert listed == [*sorted(rooms(companion)), *images.NAMES]
    assert said.endswith(f"  {private_cache} (1 networks)")
    assert f"the size of a run is {run.size!r}" in said
    paths = [private_cache, images.located("mnist"), images.located("cifar10-small")]
    unbroken = [line for line in said.split("\n") if not any(str(p) in line for p in paths)]
    assert max(map(len, unbroken)) <= 79


def test_the_command_says_where_a_data_set_lies(private_cache, monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    said = "\n".join(command.report())
    assert re.search(r"^  digits +comes with scikit-learn$", said, re.MULTILINE)
    assert re.search(r"^  mnist +not here; loading it downloads it$", said, re.MULTILINE)
    assert re.search(r"^  cifar10-small +not here$", said, re.MULTILINE)
    for file in images._MD5["mnist"]:
        (private_cache / file).parent.mkdir(parents=True, exist_ok=True)
        (private_cache / file).touch()
    assert f"  mnist          in {private_cache}\n" in "\n".join(command.report())


def test_the_command_without_a_folder_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("companion.storage._refused", {tmp_path / "file" / "below"})
    assert list(command.report())[-1] == "  nowhere: no folder can be written"


def test_the_command_runs():
    said = python("-m", "companion")
    assert said.returncode == 0 and said.stdout.startswith("companion "), said.stderr


# ---- types -----------------------------------------------------------------------------------


def test_the_package_says_that_it_has_types():
    assert (ROOT / "companion" / "py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = project["tool"]["setuptools"]["package-data"]
    assert files["companion"] == ["py.typed", "*.pyi"] and files["companion.book"] == ["*.pyi"]


SCRIPT = """
import companion
from companion import datasets, distances, models, training

data = datasets.load("digits", n_train=100)
net = models.MLP((64, 8, 10), "relu", beta=1.0)
training.fit(net, data.x_train, data.y_train, training.Recipe(epochs=2, lr=0.1))
layers = models.representations(net, data.x_test, ["act1"])
before = companion.distances.pairwise(data.x_test.flatten(1))
same = distances.within_class(data.y_test)
print(distances.correlation(before, distances.pairwise(layers["act1"]), where=same))
"""
PLANTED = """
training.Recipe(epochs="two", lr=0.1)                               # a text for a number
companion.distances.correlation(before, before, were=same)          # a name that is none
"""
UNTYPED = importlib.util.find_spec("mypy") is None


@pytest.mark.skipif(UNTYPED, reason="mypy is not installed here")
def test_a_type_checker_finds_two_planted_errors_and_no_other(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT + PLANTED)
    # Only the script is asked about, and torch alone would take a minute to read.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = skip\n[mypy-companion.*]\nfollow_imports = silent\n"
    )
    options = ["--no-error-summary", "--config-file", "mypy.ini", "--cache-dir", "cache"]
    said = python("-m", "mypy", *options, "script.py", cwd=tmp_path)
    found = [line.split(": error: ")[1] for line in said.stdout.splitlines() if "error" in line]
    assert len(found) == 2, said.stdout + said.stderr
    assert 'Argument "epochs" to "Recipe" has incompatible type "str"' in found[0]
    assert 'Unexpected keyword argument "were" for "correlation"' in found[1]
