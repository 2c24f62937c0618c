"""Chapters in JupyterLab: run all, and nothing red, frozen or broken is left.

make pages                                  one short chapter
make pages NAME=prologue                    another one, NAME=all for all of them
python -m pytest tests/test_lab.py --lab prologue
"""

import tempfile
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab here: it comes with the extra book")
sync_playwright = pytest.importorskip(
    "playwright.sync_api", reason="no playwright here"
).sync_playwright

import lab  # noqa: E402
from chapters import ROOT, chapters  # noqa: E402
from test_pages import CHROMIUM, FLAGS, needs_chromium  # noqa: E402

NAMES = [path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in chapters()]


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--lab", default=[])
        named = NAMES if "all" in wanted else wanted
        none = pytest.param(
            None, marks=pytest.mark.skip(reason="no chapter: make pages, or --lab")
        )
        metafunc.parametrize("name", named or [none])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return lab.fresh_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def address(cache):
    # One for each chapter, since JupyterLab opens again what was open; a short path, since kernels
    # may open sockets below it.
    with (
        tempfile.TemporaryDirectory(prefix="lab") as folder,
        lab.jupyterlab(Path(folder), cache) as address,
    ):
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@needs_chromium
def test_a_chapter_runs_in_jupyterlab(name, address, browser, capsys):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    try:
        done = lab.run_all(page, address, name)
        pictures = ROOT / "_build" / "lab"
        pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=pictures / f"{name.replace('/', '-')}.png")
    finally:
        page.close()
    with capsys.disabled():
        print(f"\n{name} in JupyterLab: {done.seconds:.0f} s, bars seen {done.bars} times")
    if done.found:
        pytest.fail("\n".join(done.found), pytrace=False)
