"""Binder and Colab: a file of versions that stands alone, what is built after it, what moved."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement

import colab
import conda
import execute
import kernels
from chapters import ROOT
from test_house import EXTRAS, PROJECT, locked


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


# ---- environment.yml -------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the lock was made on Linux")
def test_the_pins_are_those_of_the_lock():
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == conda.written(), (
        "run make conda"
    )


def test_binder_can_install_it_before_it_has_the_book(environment):
    """No reference to the checkout: neither a requirement nor a constraint nor a package in it."""
    interpreter, pip, installed = environment["dependencies"]
    assert pip == "pip"
    version = interpreter.removeprefix("python=") + ".99"
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)
    option, *pins = installed["pip"]
    name, address = option.split()
    assert name == "--extra-index-url" and re.fullmatch(r"https://\S+/cpu", address)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", pin) for pin in pins)


def test_readers_get_what_reading_needs_and_no_tests(environment):
    pins = {
        conda.canonicalize_name(p.split("==")[0]) for p in environment["dependencies"][2]["pip"]
    }
    named = {extra: {Requirement(text).name for text in EXTRAS[extra]} for extra in EXTRAS}
    assert {"setuptools", "wheel"} | named["book"] <= pins
    shared = conda.closure(map(Requirement, [*PROJECT["dependencies"], *EXTRAS["book"]]), "3.12")
    assert not (named["test"] - shared) & pins
    assert {"playwright", "pytest", "foolbox", "ruff"} <= named["test"] - shared


@pytest.mark.skipif(sys.platform != "linux", reason="the lock was made on Linux")
def test_a_version_that_moved_in_the_lock_is_seen_and_carried_over(tmp_path, capsys):
    for name in ("environment.yml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    lock = tmp_path / "constraints.txt"
    lock.write_text(lock.read_text().replace(f"scipy=={locked()['scipy']}", "scipy==9.9"))
    assert conda.main(["--check"], tmp_path) == 1
    assert "run make conda" in capsys.readouterr().out
    assert conda.main([], tmp_path) == 0 and conda.main(["--check"], tmp_path) == 0
    assert "      - scipy==9.9\n" in (tmp_path / "environment.yml").read_text()


# ---- what is built after it ------------------------------------------------------------------


def test_what_binder_builds_is_the_package_alone_and_the_networks_of_digits(tmp_path):
    """`postBuild` in an empty folder, with a stand-in for the interpreter that notes its calls."""
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    (tmp_path / "python").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([script], cwd=tmp_path, env={"PATH": path}, check=True)
    installed, trained = (tmp_path / "calls").read_text().splitlines()
    assert installed.startswith("-m pip install ") and installed.endswith(" -e .")
    assert {"--no-deps", "--no-build-isolation"} <= set(installed.split())
    assert trained == "tools/references.py digits"
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    assert subprocess.run([script], cwd=tmp_path, env={"PATH": path}).returncode == 3


def test_images_leave_out_what_git_leaves_out():
    """Else the copy of a working tree would carry its environment, gigabytes, along."""
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".venv", "_build", "data/*", "!data/README.md"} <= set(left_out)
    kept = {"book", "companion", "tools", "tests", "environment.yml", "postBuild", "Makefile"}
    assert not kept & set(left_out)


# ---- memory ----------------------------------------------------------------------------------

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a peak")


@on_linux
def test_the_peak_of_a_kernel_is_what_it_held_at_most_and_not_at_the_end(notebook, tmp_path):
    little = kernels.run(notebook("1"), tmp_path, timeout=60)
    much = kernels.run(
        notebook("x = b'x' * 300_000_000; del x", "2", "'text'"), tmp_path, timeout=60
    )
    assert 20 < little < 250
    assert 290 < much - little < 330


@on_linux
def test_a_chapter_that_needs_too_much_fails_by_name_and_is_not_kept(
    notebook, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "big.ipynb"
    path.write_text(nbformat.writes(notebook("x = b'x' * 100_000_000")))
    monkeypatch.setattr(execute, "MOST_MEGABYTES", 100)
    for _ in range(2):
        (failure,) = execute.execute([path], tmp_path)
        assert re.fullmatch(
            r"big: its kernel held \d{3} MB, and on Binder 100 MB have to do", failure
        )
    monkeypatch.setattr(execute, "MOST_MEGABYTES", 1500)
    assert execute.execute([path], tmp_path) == []
    assert re.search(r"big: executed in \d+ s, \d{3} MB\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("data", "size", "most"), [("digits", "", 1500), ("mnist", "", None), ("digits", "hour", None)]
)
def test_the_bound_holds_for_what_binder_runs(data, size, most, monkeypatch):
    monkeypatch.setenv("COMPANION_DATASET", data)
    monkeypatch.setenv("NETWORK_GEOMETRY_FULL", size)
    assert execute._most_megabytes() == (most or float("inf"))


@pytest.fixture
def notebook():
    spec = {"name": "python3", "display_name": "python3", "language": "python"}

    def made(*cells):
        return new_notebook(
            cells=[new_code_cell(text) for text in cells], metadata={"kernelspec": spec}
        )

    return made


# ---- Colab -----------------------------------------------------------------------------------

FREEZE = """# Do not modify this file directly
en-core-web-sm @ https://a.org/v/en_core_web_sm-3.8.0-py3-none-any.whl#sha256=12
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
ipython==7.34.0
scikit-learn==1.6.1
torch @ https://a.org/whl/cu128/torch-2.11.0%2Bcu128-cp313-cp313-manylinux_2_28_x86_64.whl
torchvision==0.26.0+cu128
"""
OURS = "# What Colab ships, beside Python 3.13.15.\nscikit-learn==1.6.1\ntorch==2.11.0\n"


def test_versions_are_read_from_pins_and_from_wheels():
    assert colab.published(FREEZE) == {
        "en-core-web-sm": "3.8.0",
        "ipython": "7.34.0",
        "scikit-learn": "1.6.1",
        "torch": "2.11.0",
        "torchvision": "0.26.0",
        "python": "3.13",
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", "", []),
        ("1.6.1", "1.7.0", ["scikit-learn: 1.6.1 here, 1.7.0 in Colab"]),
        ("torch-2.11.0", "torch-2.12.0", ["torch: 2.11.0 here, 2.12.0 in Colab"]),
        ("scikit-learn==1.6.1\n", "", ["scikit-learn: 1.6.1 here, not shipped in Colab"]),
        ("cp313-cp313", "cp314-cp314", ["python: 3.13 here, 3.14 in Colab"]),
        ("ipython==7.34.0", "ipython==9.0", []),
    ],
)
def test_what_moved_is_named(before, after, said):
    assert colab.moved(OURS, colab.published(FREEZE.replace(before, after))) == said


def test_our_own_list_is_read_whole():
    text = (ROOT / "constraints-colab.txt").read_text(encoding="utf-8")
    assert colab.published(text) == locked("constraints-colab.txt")
    assert len(colab.moved(text, {"python": "3.99"})) == len(locked("constraints-colab.txt")) + 1


@pytest.mark.parametrize("there", ["torch==2.11.0\nscikit-learn==1.6.1\n", "torch==3.0\n", None])
def test_the_command_says_it_to_the_workflow_too(there, tmp_path, monkeypatch, capsys):
    (tmp_path / "constraints-colab.txt").write_text(OURS)
    if there is not None:
        (tmp_path / "list.txt").write_text(there)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    code = colab.main((tmp_path / "list.txt").as_uri(), tmp_path)
    said = capsys.readouterr().out.strip()
    assert code == (0 if there and "2.11.0" in there else 1)
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == f"moved<<END-OF-LIST\n{said}\nEND-OF-LIST\n"
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text().splitlines() == [
        f"- {line}" for line in said.splitlines()
    ]
    expected = {None: "cannot be read", "torch==3.0\n": "torch: 2.11.0 here, 3.0 in Colab"}
    assert expected.get(there, "Colab ships the versions of") in said
