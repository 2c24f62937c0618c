"""The pages of the package: one for each room; formula, chapter, picture for each instrument."""

import ast
import doctest
import functools
import importlib
import inspect
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from docutils import nodes
from docutils.core import publish_doctree
from matplotlib.text import Text
from sphinx.ext.napoleon import Config, GoogleDocstring

import bookext
import docsigns
import pictures
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


def test_formula_and_picture_stand_behind_the_first_paragraph(monkeypatch):
    noted = []
    monkeypatch.setattr(pictures, "shown", "<figure>{}</figure>".format)
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
        ".. raw:: html",
        "",
        "   <figure>companion.distances.pairwise</figure>",
        "",
        ":param x: Samples.",
        "",
    ]
    drawing = [*(ROOT / "book" / "_ext" / "pictures").glob("*.py")]
    assert len(drawing) > 5
    assert set(noted) == {str(ROOT / rooms.FORMULAS), *map(str, drawing)}
    bookext.add_formula(app, "function", "companion.models.MLP", None, None, lines := ["One."])
    assert lines == ["One."]


# ---- the picture -----------------------------------------------------------------------------


@functools.cache
def drawn(name: str) -> pictures.Drawn:
    return pictures.drawn(name)


@functools.cache
def written(name: str) -> list[Text]:
    """What is written in a picture, the numbers of its axes among it; all of it has a place."""
    figure = drawn(name).figure
    figure.draw_without_rendering()
    found = list(figure.texts)
    for axes in figure.axes:
        found += [axes.title, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            found += [axis.label, *(label for at, label in ticks if low <= at <= high)]
    return [one for one in found if one.get_visible() and one.get_text().strip()]


def test_every_instrument_has_a_picture_and_every_picture_an_instrument():
    assert len(pictures.PICTURES) > 30
    assert set(pictures.PICTURES) == instruments()


@pytest.mark.parametrize("name", FORMULAS)
def test_an_instrument_draws_its_own_picture(name, monkeypatch):
    room, word = name.rsplit(".", 1)
    module, asked = importlib.import_module(room), []

    class Asked(Exception):
        pass

    def refuse(*args, **kwargs):
        asked.append(args)
        raise Asked

    # The package itself has the instrument by another way: only the drawing asks here.
    monkeypatch.setattr(module, word, refuse)
    with pytest.raises(Asked):
        pictures.drawn(name)
    assert len(asked) == 1 and asked[0]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_caption_is_one_sentence_and_the_alt_text_another_thing(name):
    one = drawn(name)
    assert re.fullmatch(r"[A-Z].*[^.]\.", one.caption)
    assert not re.search(r"[.!?] +[A-Z]", one.caption)
    assert 40 <= len(one.caption) <= 260
    assert 40 <= len(one.alt) and one.alt.endswith(".")
    assert one.alt not in one.caption and one.caption not in one.alt
    for text in (one.caption, one.alt):
        assert "nan" not in text.split() and "  " not in text and not re.search(r"-\d", text)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_picture_is_small_and_its_letters_are_not(name):
    width = drawn(name).figure.get_size_inches()[0]
    assert width * 96 <= 420
    texts = written(name)
    # As in a chapter's figure 10 pixels; a screen 390 wide leaves 310 in an indented entry.
    assert min(one.get_fontsize() for one in texts) / 72 * 310 / width >= 10
    assert any(re.search(r"\d", one.get_text()) for one in texts)


@pytest.mark.parametrize("name", FORMULAS)
def test_nothing_that_is_written_in_a_picture_is_cut_off_or_covered(name):
    places = {one: one.get_window_extent() for one in written(name)}
    paper = drawn(name).figure.bbox.padded(1)
    for one, place in places.items():
        corners = place.corners()
        assert all(paper.contains(*corner) for corner in corners), one.get_text()
    for (one, a), (other, b) in itertools.combinations(places.items(), 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one.get_text(), other.get_text())


@pytest.mark.parametrize("path", pictures.FILES, ids=lambda path: path.stem)
def test_what_draws_is_short_and_types_no_number_that_is_measured(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert node.end_lineno - body[0].lineno < 40, node.name
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"\d\.\d", node.value), node.value
            assert not re.search(r"#[0-9a-fA-F]{6}", node.value), node.value


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with one instrument, built by the extension; warnings are errors."""
    folder = tmp_path_factory.mktemp("instrument")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    wanted = ("autodoc", "napoleon", "default_role")
    settings = {k: v for k, v in config["sphinx"]["config"].items() if k.startswith(wanted)}
    kinds = "'myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.mathjax'"
    files = {
        "conf.py": f"extensions = [{kinds}, 'bookext']\nhtml_theme = 'basic'\n"
        f"exclude_patterns = ['_build']\nglobals().update({settings!r})\n",
        "index.md": "# Book\n\n```{toctree}\nbook/distances/metric_structure\nbook/api\n```\n",
        "book/distances/metric_structure.md": "# Chapter\n",
        "book/api.md": "# Room\n\n```{eval-rst}\n"
        ".. autofunction:: companion.distances.pairwise\n```\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / rooms.FORMULAS).parent.mkdir(parents=True)
    shutil.copy(ROOT / rooms.FORMULAS, folder / rooms.FORMULAS)
    path = os.pathsep.join(str(ROOT / part) for part in ("book/_ext", "tools", "."))
    command = [sys.executable, *"-m sphinx -W -q -b html".split(), folder, folder / "_build"]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert result.returncode == 0, result.stderr
    return folder / "_build" / "book" / "api.html"


def test_a_page_holds_formula_chapter_and_picture(page):
    name, text = "companion.distances.pairwise", page.read_text(encoding="utf-8")
    one = text.split(f'id="{name}"')[1]
    formula = one.index(r"d_{ij} = \lVert x_i - x_j \rVert_2")
    link = one.index('href="distances/metric_structure.html"')
    (figure,) = re.finditer(
        r'<figure class="ng-figure" id="figure-1"><img alt="([^"]+)"[^>]* src="([^"]+)">', one
    )
    assert formula < link < figure.start() < one.index("Parameters")
    assert figure[1] == drawn(name).alt and drawn(name).caption in one
    shown = (page.parent / figure[2]).read_bytes()
    assert shown.startswith(b"\x89PNG") and len(shown) < 60_000


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
