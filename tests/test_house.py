"""The house: versions, lock and addresses agree, floors hold, the two commands say what fails."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import address
import companion
import conda
from companion import storage

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BASE = [Requirement(text) for text in PROJECT["dependencies"]]
ALL = BASE + [Requirement(text) for extra in EXTRAS.values() for text in extra]

LOCKS = ("constraints.txt", "constraints-colab.txt")

# A name to import that is not the name of its distribution.
IMPORTED_AS = {"sklearn": "scikit-learn", "IPython": "ipython", "PIL": "pillow"}


def locked(name: str = "constraints.txt") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def python(code: str, *arguments: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, **kwargs
    )


# ---- versions --------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", ALL, ids=lambda r: r.name)
def test_requirements_are_lower_bounds(requirement):
    operators = sorted(part.operator for part in requirement.specifier)
    # Version 2 of jupyter-book is another program.
    expected = ["<", ">="] if requirement.name == "jupyter-book" else [">="]
    assert operators == expected


@pytest.mark.parametrize("requirement", BASE, ids=lambda r: r.name)
def test_lower_bounds_are_at_or_below_what_colab_ships(requirement):
    colab = locked("constraints-colab.txt")
    if requirement.name not in colab:
        # Pure Python, so that adding it there replaces nothing; pillow as matplotlib 3.8 asks for.
        assert str(requirement) == "pillow>=8" or requirement.name in {"jaxtyping", "platformdirs"}
    else:
        assert requirement.specifier.contains(colab[requirement.name])


def test_colab_runs_a_python_that_the_package_takes():
    text = (ROOT / "constraints-colab.txt").read_text(encoding="utf-8")
    version = re.search(r"beside Python ([\d.]+\d)", text)[1]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_one_exact_version_a_line(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in pins)
    assert pins == sorted(pins, key=str.lower)
    # torch pins its own CUDA parts, and the same lock must take its CPU builds.
    assert not [line for line in pins if re.match(r"nvidia|cuda|triton|network-", line, re.I)]


@pytest.mark.parametrize("requirement", ALL, ids=lambda r: r.name)
def test_the_lock_covers_every_requirement(requirement):
    assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


def test_the_lock_covers_what_builds_the_package():
    assert Version(locked()["setuptools"]) >= Version("77")
    assert "wheel" in locked()


@pytest.mark.skipif(sys.platform != "linux", reason="the lock was made on Linux")
def test_the_lock_covers_everything_that_the_requirements_need():
    missing = conda.closure(ALL) - locked().keys()
    assert not missing


def test_what_the_package_imports_is_required():
    imported = set()
    for path in (ROOT / "companion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"companion"}
    assert {IMPORTED_AS.get(name, name) for name in foreign} <= {r.name for r in BASE}


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == companion.__version__
    assert f"\n## {companion.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ---- citation, licences, addresses -----------------------------------------------------------


def test_the_citation_file_has_what_the_format_asks_for():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert all({"name"} <= a.keys() or {"family-names"} <= a.keys() for a in citation["authors"])
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    assert citation["license"] == PROJECT["license"] == "MIT"


def test_the_licences_name_themselves():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    text = (ROOT / "LICENSE-text").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by/4.0/" in text


def test_every_file_names_the_address_of_pyproject():
    places = address.stale()
    assert not places, f"run make address, or correct: {'; '.join(places)}"


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "_config.yml"])
def test_the_address_is_named_where_a_reader_looks(name):
    assert PROJECT["urls"]["Repository"] in (ROOT / name).read_text(encoding="utf-8")


# In pieces, so that the examples here are not taken for addresses of the book.
HOST, COLAB = "https://github.com", "https://colab.research.google.com/github"
BINDER = "https://mybinder.org/v2/gh"


@pytest.fixture
def fork(tmp_path):
    """A small tree written for one address, with another one in pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\n[project.urls]\nRepository = "{HOST}/me/my.fork"\n'
    )
    (tmp_path / "CITATION.cff").write_text(f"repository-code: {HOST}/old/book\n")
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: {HOST}/older/book\n")
    (tmp_path / "README.md").write_text(
        f"Clone {HOST}/old/book.git, or [see]({HOST}/other/tool).\n"
        f"{HOST}/old/bookshelf is another one.\n"
    )
    (tmp_path / "a.ipynb").write_text(
        f"{COLAB}/some/one/blob/main/a.ipynb\n{BINDER}/old/book/main\n"
        f"%pip install git+{HOST}/old/book\n"
    )
    return tmp_path


def test_a_fork_is_told_each_place_and_mends_them_with_one_command(fork):
    assert address.stale(fork) == [
        "CITATION.cff:1: old/book",
        "README.md:1: old/book",
        "_config.yml:2: older/book",
        "a.ipynb:1: some/one",
        "a.ipynb:2: old/book",
        "a.ipynb:3: old/book",
    ]
    assert len(address.rewrite(fork)) == 4
    assert address.stale(fork) == []
    assert (fork / "README.md").read_text() == (
        f"Clone {HOST}/me/my.fork.git, or [see]({HOST}/other/tool).\n"
        f"{HOST}/old/bookshelf is another one.\n"
    )


@pytest.mark.parametrize(
    ("name", "online"),
    [("Me/my.Fork", "https://me.github.io/my.Fork"), ("Me/me.github.io", "https://me.github.io")],
)
def test_the_pages_are_read_at_the_address_of_the_repository(name, online, fork):
    project = f'[project]\n[project.urls]\nRepository = "{HOST}/{name}"\n'
    (fork / "pyproject.toml").write_text(project)
    assert address.online(fork) == online


def test_an_address_without_colab_is_refused(fork):
    project = '[project]\n[project.urls]\nRepository = "https://a.org/b"\n'
    (fork / "pyproject.toml").write_text(project)
    with pytest.raises(ValueError, match="'https://a.org/b': the links to Colab and Binder need"):
        address.slug(fork)


def test_no_file_holds_a_path_of_a_machine():
    home = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/")
    here = [f"{place}/" for place in (ROOT, Path.home()) if len(place.parts) > 1]
    found = []
    for path in address.files():
        text = path.read_text(encoding="utf-8")
        if home.search(text) or any(place in text for place in here):
            found.append(path.relative_to(ROOT).as_posix())
    assert not found


def test_only_the_conda_file_names_a_package_index():
    index = re.compile(r"(?:index-url|find-links)[= \"']+(?:https?|file):|//[^\s\"']+/simple\b")
    found = [path for path in address.files() if index.search(path.read_text(encoding="utf-8"))]
    assert found == [ROOT / "environment.yml"]


# ---- floors, style, imports ------------------------------------------------------------------


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    code = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return python(code, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)})


def test_imports_go_downward_only():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("storage.py", "from companion import models"),
        ("progress.py", "from companion import storage"),
        ("run.py", "from companion import storage"),
        ("storage.py", "from companion import run"),
        ("distances/__init__.py", "from companion import training"),
        ("decision/__init__.py", "from companion import training"),
        ("decision/gaps.py", "from companion import distances"),
        ("subspaces/parts.py", "from companion import distances"),
        ("subspaces/parts.py", "from companion import decision"),
        ("decision/gaps.py", "from companion import subspaces"),
        ("training/__init__.py", "from companion import decision"),
        ("ensembles.py", "from companion import decision"),
        ("ensembles.py", "from companion import distances"),
        ("ensembles.py", "from companion import subspaces"),
        ("plots/__init__.py", "from companion.book import claims"),
        ("book/claims/__init__.py", "from companion.book import results"),
        (
            "book/exercises/prologue/lines.py",
            "from companion.book.exercises import metric_structure",
        ),
        ("book/exercises/readings.py", "from companion.book.exercises import exercise"),
        ("book/claims/measured.py", "from companion import distances"),
        ("book/claims/record.py", "from companion import storage"),
        ("book/results/__init__.py", "from companion import training"),
        ("isometry/__init__.py", "from companion import attacks"),
        ("utils.py", ""),
        ("book/utils.py", ""),
    ],
)
def test_the_import_contract_sees_a_forbidden_import(room, line, tmp_path):
    shutil.copytree(ROOT / "companion", tmp_path / "companion")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / "companion" / room, "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr


def test_ruff_finds_nothing():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    result = subprocess.run([*command, "."], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def functions(folder: Path):
    """(where, node) of every function and method below a folder."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(folder).as_posix()}: {node.name}", node


def lines(node: ast.FunctionDef) -> int:
    """From the line of `def` to the last one, the docstring apart."""
    text, documented = node.body[0], ast.get_docstring(node) is not None
    return node.end_lineno - node.lineno + 1 - documented * (text.end_lineno - text.lineno + 1)


def test_no_function_is_longer_than_40_lines():
    lengths = {(where, node.lineno): lines(node) for where, node in functions(ROOT / "companion")}
    assert len(lengths) > 300
    assert not {where: count for where, count in lengths.items() if count > 40}


def test_no_public_function_but_pgd_takes_more_than_nine_arguments():
    many = set()
    for where, node in functions(ROOT / "companion"):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
        if len(names) > 9 and (not node.name.startswith("_") or node.name == "__init__"):
            many.add(where)
    assert {where.split(": ")[1] for where in many} <= {"pgd"}, many


def test_the_lines_of_a_function_are_counted_without_its_docstring(tmp_path):
    (tmp_path / "a.py").write_text('def f(x):\n    """One.\n\n    Two.\n    """\n    return x\n')
    ((where, node),) = functions(tmp_path)
    assert where == "a.py: f" and lines(node) == 2


def test_importing_the_package_imports_nothing_heavy():
    light = ("storage", "models", "datasets", "distances", "training", "ensembles")
    light += ("isometry", "attacks", "decision", "subspaces", "run", "book.claims")
    rooms = [f"companion.{room}" for room in light]
    heavy = ["sklearn", "scipy", "torchvision", "matplotlib", "seaborn", "IPython", "pandas"]
    code = (
        "import importlib, json, sys\n"
        f"[importlib.import_module(name) for name in {rooms}]\n"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    result = python(code, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("room", ["companion", "companion.run"])
def test_importing_companion_alone_or_its_sizes_does_not_even_import_torch(room):
    result = python(f"import {room}, sys; print('torch' in sys.modules)", cwd=ROOT)
    assert result.stdout.strip() == "False", result.stderr


# ---- size ------------------------------------------------------------------------------------


def test_no_file_of_the_package_is_longer_than_350_lines():
    files = [path for kind in ("*.py", "*.js") for path in (ROOT / "companion").rglob(kind)]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert len(files) > 40
    assert not {path.name: count for path, count in lengths.items() if count > 350}


# ---- the tests themselves --------------------------------------------------------------------


def test_shapes_are_checked_in_the_tests():
    with pytest.raises(jaxtyping.TypeCheckError):
        storage.file_checksum(3)


def test_as_a_user_they_are_not(as_a_user):
    with pytest.raises(TypeError) as caught:
        storage.file_checksum(3)
    assert not isinstance(caught.value, jaxtyping.TypeCheckError)


def test_a_private_cache_is_the_one_in_use(private_cache):
    assert storage.cache() == private_cache


@pytest.mark.gpu
def test_the_marker_gpu_runs_only_with_a_device():
    import torch

    assert torch.cuda.is_available()


# ---- the two commands ------------------------------------------------------------------------

pytestmark_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@pytest.fixture
def house(tmp_path):
    """The Makefile in an empty folder, with a stand-in for the environment's interpreter.

    The stand-in notes each call in `calls` and fails where the text in `fails` occurs in it.
    """
    folder = tmp_path / "a house"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "environment.yml", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, folder)
    interpreter = folder / ".venv" / "bin" / "python"
    interpreter.write_text(
        "#!/bin/sh\n"
        'case "$*" in *"build ."*)\n'
        '  if test -d _build/.doctrees; then echo "build: unchanged" >> calls; exit 0; fi\n'
        # Clocks of file systems tick slowly: written long ago, it is older than what follows.
        "  mkdir -p _build/.doctrees\n"
        "  touch -t 200001010000 _build/.doctrees/environment.pickle;; esac\n"
        'case "$*" in *chapters.py) echo book/a.ipynb;; esac\n'
        'echo "$* | $COMPANION_DATASET $COMPANION_STRICT $COMPANION_DATA $PYTHONPATH" >> calls\n'
        'test ! -f fails || ! echo "$*" | grep -q -- "$(cat fails)"\n'
    )
    interpreter.chmod(0o755)
    (folder / ".venv" / ".folder").write_text(str(folder))
    (folder / ".venv" / ".stamp").touch()
    (folder / ".venv" / ".tests").touch()
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    outer = ("COMPANION", "MAKE", "MFLAGS", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )


def pretending(folder: Path, what: str) -> str:
    """An interpreter that runs each `-c` text after the line `what`."""
    path = folder / "other-python"
    path.write_text(
        f'#!/bin/sh\ntest "$1" = -c || {{ echo Python 3.9.1; exit 0; }}\n'
        f'exec "{sys.executable}" -c "{what}; exec(__import__(\'sys\').argv[1])" "$2"\n'
    )
    path.chmod(0o755)
    return str(path)


@pytestmark_make
@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (None, "No no-such-python runs here: install Python 3.11.5 to 3.13, or name one"),
        ("import sys; sys.version_info = (3, 9, 1)", "is Python 3.9.1: 3.11.5 to 3.13 is needed"),
        ("import sys; sys.version_info = (3, 14, 0)", "3.11.5 to 3.13 is needed, name one with"),
        ("import sys; sys.modules['ensurepip'] = None", "lacks venv or ensurepip: install them"),
        ("import sys; sys.modules['venv'] = None", "lacks venv or ensurepip: install them"),
    ],
)
def test_an_interpreter_that_will_not_do_is_named_in_one_sentence(what, sentence, house, tmp_path):
    shutil.rmtree(house / ".venv")
    interpreter = pretending(tmp_path, what) if what else "no-such-python"
    result = make(house, "book", f"PYTHON={interpreter.replace(' ', chr(92) + ' ')}")
    said = [line for line in result.stdout.splitlines() if line]
    assert result.returncode != 0
    assert len(said) == 1 and sentence in said[0]
    assert not (house / ".venv").exists()


def installs(folder: Path) -> list[str]:
    """What was installed since it was asked last, as arguments of the tool."""
    calls = (folder / "calls").read_text().splitlines()
    (folder / "calls").unlink()
    marker = "tools/install.py "
    return [line.split(" | ")[0].removeprefix(marker) for line in calls if marker in line]


@pytestmark_make
def test_readers_install_what_reading_needs_and_the_tests_add_theirs(house):
    for stamp in (".stamp", ".tests"):
        (house / ".venv" / stamp).unlink()
    assert make(house, "book", "TORCH_INDEX=cpu").returncode == 0
    assert installs(house) == ["--torch-index cpu book"]
    assert make(house, "book").returncode == 0
    assert installs(house) == []
    assert make(house, "test").returncode == 0
    assert installs(house) == ["--torch-index default test"]
    assert make(house, "pages").returncode == 0
    assert installs(house) == []


@pytestmark_make
def test_the_first_command_may_be_the_tests(house):
    for stamp in (".stamp", ".tests"):
        (house / ".venv" / stamp).unlink()
    assert make(house, "test").returncode == 0
    assert installs(house) == ["--torch-index  book", "--torch-index default test"]


@pytestmark_make
@pytest.mark.parametrize("stamp", [".stamp", ".tests"])
def test_an_installation_that_failed_is_tried_again_by_the_same_command(stamp, house):
    (house / ".venv" / stamp).unlink()
    (house / "fails").write_text("install.py")
    result = make(house, "test")
    assert result.returncode != 0 and "run the same command again" in result.stdout
    assert make(house, "test").returncode != 0
    (house / "fails").unlink()
    assert make(house, "test").returncode == 0


@pytestmark_make
@pytest.mark.parametrize("failing", ["references.py", "pytest -q -n 2$", "nbval"])
def test_a_failing_stage_fails_the_tests(failing, house):
    assert make(house, "test").returncode == 0
    (house / "fails").write_text(failing)
    assert make(house, "test").returncode != 0


@pytestmark_make
@pytest.mark.parametrize("failing", ["references.py", "execute.py", "build ."])
def test_a_book_that_failed_once_fails_again_until_it_is_mended(failing, house):
    assert make(house, "book").returncode == 0
    (house / "_build" / ".doctrees" / "environment.pickle").touch()  # read again, and ...
    (house / "fails").write_text(failing)
    assert make(house, "book").returncode != 0
    assert make(house, "book").returncode != 0
    (house / "fails").unlink()
    result = make(house, "book")
    assert result.returncode == 0
    assert "_build/html/index.html" in result.stdout


@pytestmark_make
def test_what_an_interrupted_build_read_is_read_again(house):
    pages = house / "_build" / ".doctrees"
    pages.mkdir(parents=True)
    (pages / "environment.pickle").touch()
    assert make(house, "book").returncode == 0
    assert "unchanged" not in (house / "calls").read_text()
    assert make(house, "book").returncode == 0
    assert "unchanged" in (house / "calls").read_text()


@pytestmark_make
def test_the_book_takes_the_data_set_it_is_told(house):
    make(house, "book", "DATASET=mnist", COMPANION_DATA="shelf", PYTHONPATH="elsewhere")
    calls = (house / "calls").read_text().splitlines()
    executed = next(line for line in calls if "execute.py" in line)
    assert executed == f"tools/execute.py | mnist 1 {house}/shelf "


@pytestmark_make
def test_the_tests_run_on_digits_whatever_the_shell_says(house):
    make(house, "test", "DATASET=mnist", COMPANION_DATASET="mnist")
    calls = (house / "calls").read_text().splitlines()
    assert {line.split(" | ")[1].split()[0] for line in calls if "pytest" in line} == {"digits"}


@pytestmark_make
@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_lessons_of_a_kind_are_written_and_a_failure_is_one(kind, house):
    assert make(house, kind).returncode == 0
    assert (house / "calls").read_text().splitlines()[-1].startswith(f"tools/lessons.py {kind} |")
    (house / "fails").write_text("lessons.py")
    assert make(house, kind).returncode != 0


@pytestmark_make
def test_a_chapter_needs_a_name(house):
    result = make(house, "chapter")
    assert result.returncode != 0
    assert "make chapter NAME=distances/metric_structure" in result.stdout


@pytestmark_make
def test_help_names_every_command(house):
    names = re.search(r"^\.PHONY: (help .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    said = make(house).stdout
    for name in set(names.split()) - {"help", "environment", "checked"}:
        assert f"make {name} " in said


def test_continuous_integration_runs_the_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = re.findall(r"^make (?:book|test)\b", readme, re.MULTILINE)
    assert commands[:2] == ["make book", "make test"]
    assert "make test" in script and "make book" in script and "make pages" in script
