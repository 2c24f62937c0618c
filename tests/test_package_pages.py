"""The pages of the package: one for each room, a formula and a chapter for each instrument."""

import doctest
import importlib
import inspect
import json
import re
from types import SimpleNamespace

import pytest
import yaml
from docutils import nodes
from docutils.core import publish_doctree
from sphinx.ext.napoleon import Config, GoogleDocstring

import bookext
import docsigns
import rooms
from chapters import ROOT
from test_docstrings import public
from test_docstrings import rooms as modules

REFERENCE = ROOT / "book" / "reference"
FORMULAS = rooms.formulas(ROOT)
# The floors of geometry and instruments: what measures.
MEASURING = ("attacks", "decision", "distances", "isometry")


def page_of(room: str) -> str:
    return (REFERENCE / "api" / f"{room.removeprefix('book.')}.md").read_text(encoding="utf-8")


def instruments() -> set[str]:
    """Every public function of the rooms that measure, and the decision function, a class."""
    found = {"companion.decision.DecisionFunction"}
    for room in MEASURING:
        module = importlib.import_module(f"companion.{room}")
        functions = [word for word in module.__all__ if inspect.isroutine(getattr(module, word))]
        found |= {f"companion.{room}.{word}" for word in functions}
    return found


# ---- the pages -------------------------------------------------------------------------------


def test_every_room_has_one_page_and_the_contents_name_it():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    (api,) = [chapter for chapter in chapters if chapter["file"] == "book/reference/api"]
    listed = [entry["file"].rpartition("/")[2] for entry in api["sections"]]
    assert sorted(listed) == sorted(room.removeprefix("book.") for room in rooms.rooms())
    assert sorted(path.stem for path in (REFERENCE / "api").iterdir()) == sorted(listed)


@pytest.mark.parametrize("room", rooms.rooms())
def test_a_page_documents_its_room(room):
    shown = re.findall(r"^\.\. automodule:: (\S+)\n   :members:", page_of(room), re.MULTILINE)
    assert shown[0] == f"companion.{room}"
    assert all(other.startswith(f"companion.{room}.") for other in shown[1:])


def test_the_table_of_all_functions_comes_first():
    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    assert text.index("```{all-functions}") < text.index("```bash")
    table = "\n".join(rooms.table())
    for room in rooms.rooms():
        assert f"| [`{room}`](api/{room.removeprefix('book.')}.md) |" in table
        module = importlib.import_module(f"companion.{room}")
        for word in module.__all__:
            if inspect.isroutine(getattr(module, word)):
                assert f"{{py:obj}}`{word} <companion.{room}.{word}>`" in table
    assert "Recipe" in table and "IsometricStack" in table and "StackHistory" not in table


# ---- formula and chapter ---------------------------------------------------------------------


def test_every_instrument_has_a_formula_and_a_chapter():
    assert len(instruments()) > 30
    assert set(FORMULAS) == instruments()
    assert all(set(entry) == {"formula", "chapter"} for entry in FORMULAS.values())


@pytest.mark.parametrize("name", FORMULAS)
def test_the_chapter_of_an_instrument_uses_it(name):
    path = ROOT / "book" / f"{FORMULAS[name]['chapter']}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    room, word = name.rsplit(".", 1)
    if not re.search(rf"\b{word}\b", text):
        # Of no chapter's making: then the one that explains its room.
        chapters = re.findall(r"`book/([\w/]+)`", importlib.import_module(room).__doc__)
        assert FORMULAS[name]["chapter"] in chapters
        others = ROOT.glob("book/**/*.ipynb")
        assert not any(f".{word}(" in other.read_text(encoding="utf-8") for other in others)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_one_line_whose_braces_are_closed(name):
    formula = FORMULAS[name]["formula"]
    assert "\n" not in formula and "$" not in formula
    plain = formula.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert len(re.findall(r"\\left\b", plain)) == len(re.findall(r"\\right\b", plain))


def test_the_formula_stands_behind_the_first_paragraph():
    noted = []
    env = SimpleNamespace(note_dependency=noted.append)
    app = SimpleNamespace(srcdir=ROOT, env=env)
    lines = ["The distance", "of two samples.", "", ":param x: Samples.", ""]
    bookext.add_formula(app, "function", "companion.distances.pairwise", None, None, lines)
    assert lines == [
        "The distance",
        "of two samples.",
        "",
        rf".. math:: {FORMULAS['companion.distances.pairwise']['formula']}",
        "",
        "Explained in the chapter :doc:`/book/distances/metric_structure`.",
        "",
        ":param x: Samples.",
        "",
    ]
    assert noted == [str(ROOT / rooms.FORMULAS)]
    bookext.add_formula(app, "function", "companion.models.MLP", None, None, lines := ["One."])
    assert lines == ["One."]


# ---- what a docstring looks like, and what of it is copied -----------------------------------


def documented():
    """(name, docstring) of everything public, rooms among them."""
    yield from ((room.__name__, inspect.getdoc(room)) for room in modules() if room.__doc__)
    yield from ((name, inspect.getdoc(thing)) for name, thing in public() if thing.__doc__)


def stray(text: str) -> list[str]:
    """Blocks of a docstring's page that are code, quotes or lines without having been meant so."""
    settings = Config(napoleon_numpy_docstring=False, napoleon_use_ivar=True)
    lines = GoogleDocstring(docsigns.escaped(text.split("\n")), settings).lines()
    # A role that is not known here is a word as any other.
    text_ = re.sub(r":[\w:]+:(?=`)", "", "\n".join(lines))
    quiet = {"report_level": 5, "warning_stream": False}
    tree = publish_doctree(text_, settings_overrides=quiet)
    blocks = [node.astext() for node in tree.findall(nodes.line_block)]
    meant = re.findall(r"::\n\n +(\S+)", text)
    for node in [*tree.findall(nodes.literal_block), *tree.findall(nodes.doctest_block)]:
        code = node.astext()
        if not code.startswith(">>>") and code.split()[0] not in meant:
            blocks.append(code)
    return blocks


def test_no_prose_of_a_docstring_stands_in_a_grey_block():
    found = {name: blocks for name, text in documented() if (blocks := stray(text))}
    assert not found


def test_a_line_that_begins_with_a_bar_is_prose(monkeypatch):
    text = "The norm of v,\n\n| v | / |w| of both, and\n| v | again.\n\nA table::\n\n    |a| b\n"
    assert stray(text) == []
    monkeypatch.setattr(docsigns, "escaped", list)
    assert stray(text) != []


def test_a_copied_example_is_what_one_types():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    settings = config["sphinx"]["config"]
    assert settings["copybutton_prompt_is_regexp"] is True
    # As the script of the button reads it; by its default it copies lines with a prompt alone.
    prompt = re.compile(rf"^({settings['copybutton_prompt_text']})(.*)")
    tried = 0
    for name, text in documented():
        for test in doctest.DocTestParser().get_examples(text):
            shown = test.source.rstrip("\n").split("\n")
            marked = [f"{'...' if k else '>>>'} {line}" for k, line in enumerate(shown)]
            copied = [
                m[2] for line in [*marked, *test.want.split("\n")] if (m := prompt.match(line))
            ]
            assert copied == shown, name
            tried += 1
    assert tried > 200
