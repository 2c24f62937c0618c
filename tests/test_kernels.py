"""Kernels of the maintainers' tools: private sockets, and one more try if none started."""

import json
import sys
import tempfile
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

import kernels

TRANSPORT = """import json
from ipykernel.connect import get_connection_info
print(json.loads(get_connection_info())["transport"])"""


def notebook(*cells, kernel="python3"):
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    return new_notebook(
        cells=[new_code_cell(text) for text in cells], metadata={"kernelspec": spec}
    )


def said(cell):
    return "".join(output["text"] for output in cell.outputs).strip()


def tries(folder):
    """How often the cell that counts, or the flaky kernel, was started."""
    return len((folder / "tries").read_text()) if (folder / "tries").exists() else 0


COUNT = "open('tries', 'a').write('x');"


@pytest.fixture
def flaky(tmp_path, monkeypatch):
    """A kernel that ends before it says anything, as often as it is told: `flaky(times)`."""

    def made(times):
        script = tmp_path / "start.py"
        script.write_text(
            "import sys\n"
            f"with open({str(tmp_path / 'tries')!r}, 'a+') as file:\n"
            "    file.write('x'); file.seek(0); started = len(file.read())\n"
            f"if started <= {times}: sys.exit(1)\n"
            "from ipykernel.kernelapp import launch_new_instance\n"
            "launch_new_instance()\n"
        )
        spec = tmp_path / "jupyter" / "kernels" / "flaky" / "kernel.json"
        spec.parent.mkdir(parents=True)
        argv = [sys.executable, str(script), "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        return notebook("print(6 * 7)", kernel="flaky")

    return made


@pytest.mark.parametrize("length", [None, 120])
def test_a_kernel_is_reached_through_a_private_file(length, tmp_path, capfd, monkeypatch):
    if length:  # a folder for temporary files whose path no socket can have
        deep = tmp_path / ("x" * length)
        deep.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(deep))
    made = notebook("import os; print(os.getcwd())", TRANSPORT)
    kernels.run(made, tmp_path, timeout=60)
    assert [said(cell) for cell in made.cells] == [str(tmp_path), "ipc"]
    assert [cell.execution_count for cell in made.cells] == [1, 2]
    assert "encryption" not in "".join(capfd.readouterr())


def test_nothing_is_left_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp" if len(str(tmp_path)) > 70 else str(tmp_path))
    before = set(Path(tempfile.gettempdir()).iterdir())
    kernels.run(notebook(), tmp_path, timeout=60)
    left = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert not [path for path in left if (path / "kernel.json").exists()]


def test_a_kernel_that_never_started_gets_one_more_try(flaky, tmp_path):
    made = flaky(1)
    kernels.run(made, tmp_path, timeout=60)
    assert said(made.cells[0]) == "42" and tries(tmp_path) == 2


def test_it_gets_no_third_one(flaky, tmp_path):
    with pytest.raises(RuntimeError, match="^no kernel started: Kernel died before replying"):
        kernels.run(flaky(9), tmp_path, timeout=60)
    assert tries(tmp_path) == 2


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        (f"{COUNT} raise ValueError('torn')", CellExecutionError),
        (f"{COUNT} import os; os._exit(1)", DeadKernelError),
    ],
)
def test_a_cell_that_fails_is_not_tried_again(cell, error, tmp_path):
    with pytest.raises(error):
        kernels.run(notebook("1", cell), tmp_path, timeout=60)
    assert tries(tmp_path) == 1
