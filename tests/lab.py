"""A chapter as a reader runs it: JupyterLab in a browser, a live kernel, a fresh cache.

The kernel has the reader's surroundings: as many threads as there are, bars, claims that differ
say so and stop nothing, and only the reference networks are there.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from chapters import ROOT

# What the makefile sets for builds and tests, and no reader does.
OURS = ("COMPANION_", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NETWORK_GEOMETRY_", "IPYTHONDIR")

# All cells in the page, the lower ones too, and nothing that asks another machine.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

# Prints the file of each reference network of digits, and trains those that are missing.
REFERENCES = """import sys
def heard(event, given):
    if event == "open" and str(given[0]).endswith(".pt"):
        print(given[0])
sys.addaudithook(heard)
sys.path.insert(0, "tools")
import references
for job in references.JOBS:
    references.make("digits", *job)"""


@dataclass(frozen=True)
class Run:
    """What a reader sees after "Run All Cells".

    Attributes:
        seconds: From the click to the last cell.
        bars: How many progress bars were seen at work.
        found: One sentence for each thing that should not be there.
    """

    seconds: float
    bars: int
    found: list[str]


def fresh_cache(folder: Path) -> Path:
    """A cache that holds the reference networks of digits and nothing else."""
    made = subprocess.run(
        [sys.executable, "-c", REFERENCES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    networks = folder / "networks"
    networks.mkdir(parents=True)
    for path in set(made.stdout.split()):
        shutil.copy(path, networks)
    return folder


@contextmanager
def jupyterlab(folder: Path, cache: Path) -> Iterator[str]:
    """The address of a JupyterLab over a copy of the book; all that it writes is in `folder`."""
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns(".*", "_*"))
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    private = {name: str(folder / name.lower()) for name in places}
    private |= {"COMPANION_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    private["COMPANION_DATASET"] = "digits"  # whatever lies on this disk
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "book"]
    command += ["--ServerApp.ip=127.0.0.1", "--LabApp.expose_app_in_browser=True"]
    command += [f"--LabApp.user_settings_dir={folder / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={folder / 'workspaces'}"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=kept | private, stdout=log, stderr=log) as lab,
    ):
        try:
            yield _address(lab, folder)
        finally:
            lab.terminate()


def _address(lab: subprocess.Popen, folder: Path) -> str:
    said = folder / "jupyter_runtime_dir" / f"jpserver-{lab.pid}.json"
    for _ in range(600):
        if said.is_file() and (text := said.read_text(encoding="utf-8")):
            server = json.loads(text)
            return f"{server['url']}lab/tree/{{}}?token={server['token']}"
        if lab.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"no JupyterLab came up: {(folder / 'log').read_text()[-2000:]}")


def run_all(page: Page, address: str, name: str, *, timeout: float = 1200) -> Run:
    """Open a chapter ("distances/rulers"), run all its cells in the new kernel, and look.

    A kernel that was just started is what a restart gives; on a busy machine the server loses the
    connection to some of those that it restarts, which is no fault of a chapter.
    """
    page.goto(address.format(f"{name}.ipynb"))
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    for _ in range(20):
        # What is asked of a kernel whose connection is not there yet is lost without a word.
        page.wait_for_timeout(3000)
        if page.evaluate(CONNECTED):
            page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
            # The first that has these words is not the one that restarts.
            page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
            page.wait_for_timeout(500)
            if page.evaluate(WAITING):
                break
    start, bars = time.monotonic() - 0.5, 0
    while page.evaluate(WAITING):
        bars += page.evaluate(BARS)
        if time.monotonic() - start > timeout:
            raise TimeoutError(f"{name} still runs after {timeout:.0f} s in JupyterLab")
        page.wait_for_timeout(200)
    seconds = time.monotonic() - start
    page.wait_for_timeout(1000)  # for what comes after the last answer
    found = [f"cell {cell}: {sentence}" for cell, sentence in page.evaluate(LOOK)]
    return Run(seconds, bars, found)


CONNECTED = """() => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""

# What a fold hides has no prompt in the page, so JupyterLab is asked for its cells.
WAITING = """() => jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.executionState === "running").length"""

BARS = """() => [...document.querySelectorAll(".widget-hprogress")]
  .filter(bar => bar.checkVisibility()).length"""

# Of each cell, by its place in the notebook.
LOOK = """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].flatMap((cell, place) => {
  const found = [], all = form => [...cell.querySelectorAll(form)];
  const short = element => element.textContent.trim().slice(0, 300);
  const out = kind => `.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.${kind}"]`;
  for (const red of all(out("stderr"))) found.push(`writes in red: ${short(red)}`);
  for (const error of all(out("error"))) found.push(`fails: ${short(error)}`);
  for (const bar of all(".widget-hprogress"))
    if (bar.checkVisibility()) found.push(`leaves a bar: ${short(bar.parentElement)}`);
  for (const lost of all(".jupyter-widgets"))
    if (lost.textContent.includes("Error displaying widget")) found.push(short(lost));
  for (const text of all(out("stdout")))
    if (text.textContent.includes("it/s]")) found.push(`leaves a bar: ${short(text)}`);
  const { model } = jupyterapp.shell.currentWidget.content.widgets[place];
  const code = model.type === "code" && model.sharedModel.getSource().trim();
  if (code && !(model.executionCount > 0)) found.push("was not run");
  for (const image of all(".jp-OutputArea img"))
    if (!image.alt.trim()) found.push(`has a picture without alt text: ${image.src.slice(0, 60)}`);
  for (const one of all("td, th")) {
    const { textAlign } = getComputedStyle(one);
    if (textAlign === "right") found.push(`sets a table to the right: ${short(one)}`);
  }
  return found.map(sentence => [place, sentence]);
})"""
