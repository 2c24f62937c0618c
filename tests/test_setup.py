"""Set-up: one index for PyTorch's two packages, uv or pip, reading before testing."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import install
from chapters import ROOT
from serving import served

LOCK = install.locked(ROOT / "constraints.txt")
PAIR = [f"{name}=={LOCK[name]}" for name in install.TORCH]


@pytest.fixture
def machine(monkeypatch):
    """A Linux machine as told: `machine(nvidia=, answers=, there=)`; returns the commands run."""

    def made(*, nvidia=False, answers=True, there=None, uv=None, failing="nothing"):
        commands = []

        def call(*command):
            commands.append(" ".join(command))
            return failing not in commands[-1]

        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(install, "has_nvidia", lambda: nvidia)
        monkeypatch.setattr(install, "reachable", lambda index: answers)
        monkeypatch.setattr(install, "installed", (there or {}).get)
        monkeypatch.setattr(install, "remove_torn", lambda folder: None)
        monkeypatch.setattr(install, "_call", call)
        monkeypatch.setattr(install.shutil, "which", lambda name: uv)
        return commands

    return made


def pairs(commands):
    return [command for command in commands if all(name in command for name in PAIR)]


# ---- which builds ----------------------------------------------------------------------------


def test_without_a_device_both_come_from_the_index_of_cpu_builds(machine, capsys):
    commands = machine()
    assert install.main(["book"]) == 0
    (command,) = pairs(commands)
    assert f"--no-deps --force-reinstall --index-url {install.cpu_index()} " in command
    assert commands.index(command) == 1 and commands[2].endswith("-e .[book]")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith("No NVIDIA device here: PyTorch comes in its CPU")


@pytest.mark.parametrize("wanted", ["", "cpu", "https://packages.invalid/whl"])
def test_an_index_that_cannot_be_reached_is_one_sentence(wanted, machine, capsys):
    commands = machine(answers=False)
    assert install.main(["--torch-index", wanted, "book"]) == 0
    assert not pairs(commands) and commands[-1].endswith("-e .[book]")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert "cannot be reached, so PyTorch comes from the ordinary one, on Linux with" in said[0]


def test_an_index_without_these_versions_is_left_too(machine, capsys):
    commands = machine(failing="--index-url")
    assert install.main(["book"]) == 0
    assert commands[-1].endswith("-e .[book]")
    assert "torch==" in (said := capsys.readouterr().out.splitlines()[-1])
    assert said.endswith("cannot be had there: the ordinary index is used.")


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ([], {"nvidia": True}),
        (["--torch-index", "default"], {}),
        ([], {"there": {name: LOCK[name] for name in install.TORCH}}),
    ],
    ids=["a device", "asked for", "there already"],
)
def test_otherwise_the_lock_alone_decides(options, state, machine, capsys):
    commands = machine(**state)
    assert install.main([*options, "book"]) == 0
    assert not pairs(commands) and len(commands) == 2
    assert capsys.readouterr().out == ""


def test_one_of_the_two_alone_is_taken_anew_with_the_other(machine):
    commands = machine(there={"torch": LOCK["torch"]})
    install.main(["book"])
    assert len(pairs(commands)) == 1


def test_elsewhere_than_on_linux_the_ordinary_builds_are_small(machine, monkeypatch):
    commands = machine()
    monkeypatch.setattr(sys, "platform", "darwin")
    install.main(["book"])
    assert not pairs(commands)


def test_a_device_is_known_by_its_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "DRIVER", (str(tmp_path / "none"), str(tmp_path / "driver")))
    assert not install.has_nvidia()
    (tmp_path / "driver").touch()
    assert install.has_nvidia()


def test_the_label_of_a_build_is_no_other_version(monkeypatch):
    monkeypatch.setattr(install.importlib.metadata, "version", lambda name: "2.14.1+cpu")
    assert install.installed("torch") == "2.14.1"
    monkeypatch.undo()
    assert install.installed("no-such-package") is None


# ---- a real index ----------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path):
    """An index on this machine with empty packages in PyTorch's names, labelled as CPU builds."""
    for name in install.TORCH:
        folder = tmp_path / "whl" / name
        folder.mkdir(parents=True)
        version = f"{LOCK[name]}+cpu"
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
    with served(tmp_path) as address:
        yield f"{address}whl"


def test_an_index_that_is_there_answers(index):
    assert install.reachable(index) and install.reachable(f"{index}/")
    assert not install.reachable(f"{index}/elsewhere")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no.such.invalid", "cpu", ""])
def test_an_index_that_is_not_there_does_not(address):
    assert not install.reachable(address)


def test_pip_takes_both_from_there_whatever_else_it_is_told(index, tmp_path):
    """With a package of the plain version within its reach, as a mirror would have it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for wheel in (tmp_path / "whl").rglob("*.whl"):
        with zipfile.ZipFile(wheel) as old:
            plain = zipfile.ZipFile(shelf / wheel.name.replace("+cpu", ""), "w")
            with plain as new:
                for name in old.namelist():
                    text = old.read(name).decode().replace("+cpu", "")
                    new.writestr(name.replace("+cpu", ""), text)
    command = ["-m", "pip", "install", "--dry-run", "--no-deps", "--force-reinstall"]
    result = subprocess.run(
        [sys.executable, *command, "--find-links", str(shelf), "--index-url", index, *PAIR],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    would = next(line for line in result.stdout.splitlines() if line.startswith("Would install"))
    assert would.split()[2:] == [f"{name}-{LOCK[name]}+cpu" for name in install.TORCH]


# ---- with what -------------------------------------------------------------------------------


def test_uv_installs_where_it_is_on_the_path_from_the_same_lock(machine):
    plain = machine()
    install.main(["book"])
    commands = machine(uv="/bin/uv")
    install.main(["book"])
    start = f"/bin/uv pip install --python {sys.executable} "
    assert all(command.startswith(start) for command in commands)
    pip = f"{sys.executable} -m pip install --disable-pip-version-check "
    assert [c.removeprefix(start) for c in commands] == [c.removeprefix(pip) for c in plain]
    assert all(f"-c {ROOT / 'constraints.txt'} " in commands[i] for i in (0, 2))


def test_where_uv_fails_pip_is_tried(machine, capsys):
    commands = machine(uv="/bin/uv", failing="/bin/uv")
    assert install.main(["book"]) == 0
    assert commands[-1].startswith(sys.executable) and commands[-1].endswith("-e .[book]")
    assert "uv could not install them: pip is tried." in capsys.readouterr().out


@pytest.mark.parametrize("failing", ["setuptools", "-e"])
def test_what_fails_is_said_by_the_exit_code(failing, machine):
    machine(failing=failing)
    assert install.main(["book"]) == 1


def test_a_package_that_was_cut_off_is_forgotten(tmp_path):
    for name in ("whole", "torn"):
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
    (tmp_path / "whole-1.0.dist-info" / "RECORD").touch()
    install.remove_torn(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole-1.0.dist-info"]


def test_it_needs_nothing_but_the_standard_library():
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(install.__file__)), "--help"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0 and "--torch-index" in result.stdout
