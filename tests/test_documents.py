"""What the pages show as code does what they say: every Python block of them is run."""

import doctest
import importlib
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
EXTENSION = ROOT / "book" / "_ext"

# The notebooks' own blocks are solutions, which `test_exercises` runs.
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for place in ("*.md", "benchmarks/*.md", "book/**/*.md", "data/*.md")
    for path in ROOT.glob(place)
)
LANGUAGES = {"bash", "markdown", "python", "text"}


def fences(text: str) -> list[tuple[int, str, str]]:
    """(line, language, content) of the fenced blocks of a page, those in lists as well."""
    found = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    return [(token.map[0] + 1, token.info.strip(), token.content) for token in found]


def run(text: str, name: str) -> int:
    """Run the Python blocks of a page in turn, each with what those above it made."""
    names, ran = {"__name__": name}, 0
    for line, language, code in fences(text):
        if language == "python":
            # As a cell, since a chapter's first one has a magic command; the lines stay its own.
            cell = "\n" * line + TransformerManager().transform_cell(code)
            exec(compile(cell, name, "exec"), names)
            ran += 1
    return ran


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_in_which_language_it_is(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    unknown = [
        f"{page}:{line}: {language or 'none'}"
        for line, language, _ in fences(text)
        if language not in LANGUAGES and not language.startswith("{")
    ]
    assert not unknown, f"say in which of {sorted(LANGUAGES)} a block is: {unknown}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
)
def test_the_python_blocks_of_a_page_run(page):
    assert run((ROOT / page).read_text(encoding="utf-8"), page) > 0


def test_the_readme_and_a_page_of_the_book_have_some():
    pages = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
    assert {"README.md", "book/how_to_use.md"} <= set(pages)


PAGE = """
1. Two blocks, of which the second needs the first.

   ```python
   import sys
   if "no.such.module" in sys.modules:
       %pip install no-such-package
   a = [1]
   ```

```python
a[1]
```
"""


def test_a_block_that_fails_is_named_by_page_and_line():
    with pytest.raises(IndexError) as caught:
        run(PAGE, "page.md")
    last = caught.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("page.md", 12)


# ---- doctests outside the package, whose own are collected by pytest -------------------------

MODULES = sorted(
    path.stem
    for folder in (EXTENSION, ROOT / "tools")
    for path in folder.glob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_extension_and_the_tools_hold(name):
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert tried and not failed
