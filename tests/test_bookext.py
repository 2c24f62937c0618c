"""The book's extension: cache key, boxes, docstrings, the ledger and the pages made of it."""

import ast
import base64
import copy
import html.parser
import io
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import grimp
import jinja2
import nbformat
import pytest
import yaml
from docutils import nodes, utils
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from matplotlib.figure import Figure
from myst_nb.core.config import NbParserConfig
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from sphinx import addnodes

import barriers
import bookext
import boxes
import chaptercache
import chapters
import claimpage
import docsigns
import figures
import ledger
import normalize
import reportcard
import rounding
import templates
from companion import plots, run
from companion.book import claims as rulers
from companion.book import widgets

# --- where executed chapters are kept, and what each rests on

SOURCES = {
    "companion/__init__.py": "",
    "companion/ground.py": "ZERO = 0",
    "companion/rulers/__init__.py": "from .metric import length",
    "companion/rulers/metric.py": '"""Lengths."""\ndef length(x, *, n=2):\n    return x ** n\n',
    "companion/rulers/scale.txt": "0 1 2",
    "companion/shapes.py": "def circle():\n    from companion import ground\n",
    "companion/unused.py": "",
    "companion/book/__init__.py": "",
    "companion/book/claims.py": "",
    "companion/book/exercises/__init__.py": "",
    "companion/book/exercises/a.py": "from companion.book.exercises import answers",
    "companion/book/exercises/b.py": "",
    "companion/book/exercises/answers.py": "",
    "companion/book/results/__init__.py": "",
    "companion/book/results/one.json": "{}",
    "companion/book/results/two.json": "{}",
    "companion/book/widgets/__init__.py": "",
    "companion/book/widgets/static/a.js": "",
    "constraints.txt": "# locked\ntorch==2.0\n",
    "pyproject.toml": '[project]\nname = "x"\ndependencies = ["torch>=2"]\n',
}
IMPORTS = """import sys
if "google.colab" in sys.modules:
    %pip install -q "git+https://example.org/book"
import torch
from companion import shapes
from companion.rulers import length
from companion.book import results, widgets
from companion.book.exercises import a as exercises
"""
DATA = "data/MNIST/raw/train-images-idx3-ubyte.gz"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small checkout with one chapter, and no data but its own."""
    names = ("COMPANION_DATA", "COMPANION_CACHE", run.VARIABLE, *chaptercache.VARIABLES)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, text in SOURCES.items():
        put(tmp_path / "checkout" / name, text)
    chapter(tmp_path / "checkout")
    return tmp_path / "checkout"


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def chapter(root, *cells, name="part/a"):
    """Write a chapter with these cells, by default the imports and one kept result."""
    cells = cells or (IMPORTS, 'results.kept("one").values')
    made = new_notebook(cells=[new_code_cell(text) for text in cells])
    path = root / "book" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, path)
    return path


def key(root, name="part/a"):
    return chaptercache.key(root, root / "book" / f"{name}.ipynb")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("companion/__init__.py", "__version__ = 1"),
        ("companion/ground.py", "ZERO = 1"),  # imported inside a function, two modules away
        ("companion/rulers/__init__.py", "length = 2"),
        ("companion/rulers/metric.py", "length = 2"),
        ("companion/rulers/scale.txt", "0 1 3"),
        ("companion/rulers/new.txt", "3"),
        ("companion/book/__init__.py", "x = 1"),
        ("companion/book/exercises/a.py", "x = 1"),
        ("companion/book/exercises/answers.py", "x = 1"),
        ("companion/book/results/__init__.py", "x = 1"),
        ("companion/book/results/one.json", "[]"),
        ("companion/book/widgets/static/a.js", "// "),
        ("constraints.txt", "torch==2.1\n"),
        ("pyproject.toml", '[project]\ndependencies = ["torch", "numpy"]\n'),
        (DATA, "1234"),
        ("data/cifar10-small.npz", "1"),
    ],
)
def test_what_a_chapter_rests_on_changes_its_key(root, name, text):
    before = key(root)
    put(root / name, text)
    assert key(root) != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("companion/unused.py", "x = 1"),
        ("companion/new.py", "x = 1"),
        ("companion/book/claims.py", "x = 1"),
        ("companion/book/exercises/b.py", "x = 1"),  # another chapter's room
        ("companion/book/results/two.json", "[]"),
        ("companion/__pycache__/ground.cpython-311.pyc", "new"),
        ("companion/rulers/__pycache__/metric.txt", "new"),
        ("companion/rulers/old.pyc", "new"),
        ("constraints.txt", "# locked again\n\ntorch==2.0\n"),
        ("pyproject.toml", '[project]\nname = "y"\ndependencies = ["torch>=3"]\n[tool.ruff]\n'),
        ("data/references/network.pt", "new"),
        ("data/0f3a.pt", "new"),
        ("tests/test_claims.py", "new"),
        ("book/index.md", "new"),
        ("book/b.ipynb", "{}"),
        ("README.md", "new"),
    ],
)
def test_what_a_chapter_does_not_rest_on_leaves_its_key(root, name, text):
    before = key(root)
    put(root / name, text)
    assert key(root) == before


@pytest.mark.parametrize(
    "text",
    [
        '"""Other words."""\ndef length(x, *, n=2):\n    return x ** n\n',
        '# A comment.\n\n\ndef length(x, *, n=2):\n    "Words."\n    return x**n  # why\n',
    ],
)
def test_words_about_the_code_leave_the_key(root, text):
    before = key(root)
    put(root / "companion/rulers/metric.py", text)
    assert key(root) == before


@pytest.mark.parametrize(
    "text",
    [
        "def length(x, *, n=3):\n    return x ** n\n",
        "def length(x, *, m=2):\n    return x ** m\n",
        "def length(x, n=2):\n    return x ** n\n",
        'def length(x, *, n=2):\n    print("words")\n    return x ** n\n',
        'WORDS = "Lengths."\ndef length(x, *, n=2):\n    return x ** n\n',
        "@cache\ndef length(x, *, n=2):\n    return x ** n\n",
        "def length(x, *, n=2) -> int:\n    return x ** n\n",
        "def length(x, *, n=2)\n",  # broken, and found out when it is executed
    ],
)
def test_every_change_of_the_code_changes_the_key(root, text):
    before = key(root)
    put(root / "companion/rulers/metric.py", text)
    assert key(root) != before


@pytest.mark.parametrize(
    "cell",
    [
        "from companion import shapes",
        "from companion import rulers, shapes as s",
        "from companion.shapes import circle",
        "from companion.shapes import *",
        "import companion.shapes",
        "import os, companion.shapes as s",
        "%matplotlib inline\nif True:\n    !ls\n    from companion import shapes",
        "def late():\n    import companion.shapes",
        "this is no Python",
    ],
)
def test_imports_are_found_however_they_are_written(root, cell):
    path = chapter(root, "x = 1", cell)
    found = chaptercache.rests_on(root, path)
    assert {root / "companion" / name for name in ("shapes.py", "ground.py")} <= set(found)


def test_the_packages_that_a_module_lies_in_are_imported_before_it(root):
    found = chaptercache.rests_on(root, chapter(root, "import companion.rulers.metric"))
    names = [path.relative_to(root / "companion").as_posix() for path in found]
    assert names == ["__init__.py", "rulers/__init__.py", "rulers/metric.py", "rulers/scale.txt"]


@pytest.mark.parametrize("cell", ["import torch", "x = 1", "'import companion.shapes'"])
def test_a_chapter_that_imports_nothing_of_the_package_rests_on_nothing_of_it(root, cell):
    assert chaptercache.rests_on(root, chapter(root, cell)) == []


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ('results.kept("one")', {"one"}),
        ('a, b = results.kept("one"), results.kept("two")', {"one", "two"}),
        ("results.kept(name)", {"one", "two"}),
        ('k = results.kept\nresults.kept("one")', {"one", "two"}),
        ("x = 1", {"one", "two"}),
    ],
)
def test_a_chapter_rests_on_the_kept_results_that_it_names(root, cell, names):
    found = chaptercache.rests_on(root, chapter(root, IMPORTS, cell))
    assert {path.stem for path in found if path.suffix == ".json"} == names


def test_editing_an_exercise_executes_one_chapter(root):
    chapter(root, IMPORTS.replace("a as", "b as"), name="b")
    before = key(root), key(root, "b")
    put(root / "companion/book/exercises/b.py", "x = 1")
    assert key(root) == before[0] and key(root, "b") != before[1]


def test_exercises_that_import_all_rooms_are_found_too(root):
    put(root / "companion/book/exercises/__init__.py", "from companion.book.exercises import b")
    before = key(root)
    put(root / "companion/book/exercises/b.py", "x = 1")
    assert key(root) != before


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_of_the_exercises_a_chapter_rests_on_its_own_room_and_on_no_other(path):
    rooms = {one.stem for one in chapters.chapters()}
    found = [file.with_suffix("").parts for file in chaptercache.rests_on(chapters.ROOT, path)]
    found = [parts[parts.index("exercises") + 1] for parts in found if "exercises" in parts]
    assert rooms & set(found) == {path.stem}


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_a_chapters_modules_are_those_that_grimp_finds(path):
    graph = grimp.build_graph("companion", cache_dir=None)
    named = chaptercache._imports(ast.parse("\n".join(chaptercache._code(path))))
    wanted, todo = {"companion"}, [name for name in named if name in graph.modules]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += [*graph.find_modules_directly_imported_by(name), name.rpartition(".")[0]]
    found = chaptercache.rests_on(chapters.ROOT, path)
    names = [file.relative_to(chapters.ROOT).with_suffix("") for file in found]
    names = {".".join(name.parts).removesuffix(".__init__") for name in names}
    assert {name for name in names if name in graph.modules} == wanted


@pytest.mark.parametrize("name", [*chaptercache.VARIABLES, run.VARIABLE])
def test_the_variables_of_a_run_change_the_key_and_back(root, monkeypatch, name):
    before = key(root)
    monkeypatch.setenv(name, "1")
    assert key(root) != before
    monkeypatch.delenv(name)
    assert key(root) == before


def test_a_file_that_goes_or_moves_changes_the_key(root):
    before = key(root)
    (root / "companion/rulers/scale.txt").rename(root / "companion/rulers/scales.txt")
    renamed = key(root)
    (root / "companion/rulers/scales.txt").unlink()
    assert len({before, renamed, key(root)}) == 3


def test_names_and_sizes_of_the_data_change_the_key_and_nothing_else_of_them(root):
    put(root / DATA, "1234")
    before = key(root)
    put(root / DATA, "4321")
    assert key(root) == before
    put(root / DATA, "12345")
    assert key(root) != before
    put(root / DATA, "1234")
    (root / DATA).rename(root / DATA.replace("train", "t10k"))
    assert key(root) != before


def test_the_same_data_in_another_place_is_the_same_data(root, tmp_path, monkeypatch):
    for place in (root / "data", tmp_path / "elsewhere"):
        put(place / "MNIST/raw/train-labels-idx1-ubyte.gz", "1234")
    here = key(root)
    assert chaptercache.data_files(root) == [("MNIST/raw/train-labels-idx1-ubyte.gz", 4)]
    for name in ("COMPANION_DATA", "COMPANION_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
        assert key(root) == here


def test_the_files_of_another_data_set_do_not_change_the_key(root, monkeypatch):
    monkeypatch.setenv("COMPANION_DATASET", "digits")
    before = key(root)
    put(root / DATA, "1234")
    assert key(root) == before
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    with_file = key(root)
    (root / DATA).unlink()
    assert key(root) != with_file


def test_what_was_measured_by_the_same_code_counts_for_every_run(root, monkeypatch):
    path = root / "book/part/a.ipynb"
    before = chaptercache.code_key(root, path)
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    monkeypatch.setenv(run.VARIABLE, "hour")
    put(root / DATA, "1234")
    assert chaptercache.code_key(root, path) == before
    put(root / "companion/ground.py", "ZERO = 1")
    assert chaptercache.code_key(root, path) != before


def test_the_folders_used_last_are_kept_of_every_chapter(root, monkeypatch):
    path, other = root / "book/part/a.ipynb", chapter(root, name="part")
    folders, alone = [], chaptercache.folder(root, other)
    for k in range(6):
        monkeypatch.setenv("COMPANION_DATASET", f"set {k}")
        folders.append(chaptercache.folder(root, path))
        # One after another even where the clock of the disk is coarse; the first stays in use.
        os.utime(folders[-1], (1000 + k, 1000 + k))
        os.utime(folders[0], (2000 + k, 2000 + k))
    kept = set((root / "_build/.jupyter_cache/book.part.a").iterdir())
    assert kept == {folders[0], *folders[3:]}
    assert all(folder.is_absolute() for folder in folders) and alone.is_dir()


def test_going_back_finds_the_same_folder(root, monkeypatch):
    path = root / "book/part/a.ipynb"
    first = chaptercache.folder(root, path)
    (first / "global.db").write_text("executed")
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    assert chaptercache.folder(root, path) != first
    monkeypatch.delenv("COMPANION_DATASET")
    assert (chaptercache.folder(root, path) / "global.db").read_text() == "executed"


# --- boxes


def quote(*paragraphs):
    document = utils.new_document("page")
    document += nodes.block_quote("", *(nodes.paragraph("", "", *p) for p in paragraphs))
    return document


def test_a_quote_with_a_bold_word_becomes_a_box():
    # The Markdown parser leaves an empty text in front of the bold word.
    start = [nodes.Text(""), nodes.strong("", "Predict."), nodes.Text(" Is it nearer?")]
    page = quote(start, [nodes.Text("More.")])
    assert boxes.frame(page) == 1
    (box,) = page.findall(nodes.admonition)
    assert box["classes"] == ["ng-box", "ng-predict"]
    assert [child.astext() for child in box] == ["Predict", "Is it nearer?", "More."]
    assert not list(page.findall(nodes.block_quote)) and not list(page.findall(nodes.strong))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Trap.", "trap"),
        ("Keep:", "keep"),
        ("Aside", "aside"),
        ("Warning.", "trap"),
        ("Lemma.", "aside"),
    ],
)
def test_the_word_chooses_the_kind(word, kind):
    page = quote([nodes.strong("", word), nodes.Text(" It bends.")])
    boxes.frame(page)
    assert f"ng-{kind}" in next(page.findall(nodes.admonition))["classes"]


def test_a_bold_word_alone_on_its_line_is_the_title_only():
    page = quote([nodes.strong("", "Trap.")], [nodes.Text("It bends.")])
    boxes.frame(page)
    assert [child.astext() for child in next(page.findall(nodes.admonition))] == [
        "Trap",
        "It bends.",
    ]


def test_formulas_behind_the_bold_word_stay():
    page = quote([nodes.strong("", "Keep."), nodes.Text(" "), nodes.math("", "r = 1")])
    boxes.frame(page)
    assert next(page.findall(nodes.math)).astext() == "r = 1"


@pytest.mark.parametrize(
    "start",
    [
        [nodes.Text("Words, then "), nodes.strong("", "bold.")],
        [nodes.strong("", "Two words."), nodes.Text(" More.")],
        [nodes.emphasis("", "Slanted.")],
        [],
    ],
)
def test_any_other_quote_stays_a_quotation(start):
    page = quote(start)
    before = page.astext()
    assert boxes.frame(page) == 0
    assert len(list(page.findall(nodes.block_quote))) == 1 and page.astext() == before


# --- what a page makes of a chapter's outputs


class Shown:
    """The display functions of a chapter, with their output caught instead of shown."""

    def __enter__(self):
        self.outputs, self.patch = [], pytest.MonkeyPatch()
        self.patch.setattr("IPython.display.display", self.caught)
        return self.outputs

    def __exit__(self, *_):
        self.patch.undo()

    def caught(self, shown):
        data = {"text/plain": repr(shown), "text/html": shown._repr_html_()}
        self.outputs.append(new_output("display_data", data))


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def drawn(caption):
    """What a cell leaves that draws a line and shows it."""
    fig = Figure(figsize=(3, 2))
    fig.subplots().plot([0, 1])
    with Shown() as outputs:
        plots.show(fig, caption=caption, alt="A line.")
    return outputs[0]


def moved(caption):
    """What a cell leaves that shows a living figure."""
    figure = widgets.Frames(
        lambda n: widgets.scatter([0, n], [n, 0], text=f"step {n}"),
        sliders={"step": [1, 2]},
        caption=caption,
        alt="Two points.",
    )
    data = {"text/plain": caption, "text/html": figure._repr_html_()}
    return new_output("execute_result", data)


def column_line(name):
    line = f"column {name}: stored"
    data = {"text/plain": line, "text/html": f'<p id="column-{name}">{line}</p>'}
    record = {"name": name, "values": {"trained": [1.0]}}
    return new_output("display_data", data, metadata={ledger.COLUMN: record})


LITTLE = [
    ("data = load()", [printed("data set: digits, as chosen\n")], {"tags": ["hide-input"]}),
    ("plots.show(a)", [drawn("The first <b> & $r$."), printed("by the way\n")], {}),
    ("Frames(b)", [moved("The second.")], {"tags": ["hide-input"]}),
    ("column('margin')", [column_line("margin")], {"column": "margin", "tags": ["hide-input"]}),
    ("import noisy", [printed("aloud\n", "stderr")], {}),
    ("0.25", [new_output("execute_result", {"text/plain": "0.25"})], {}),
    ("plots.show(c)", [drawn("The third.")], {"tags": ["hide-input"]}),
]


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """A book of one executed chapter, built by the extension; warnings are errors."""
    folder = tmp_path_factory.mktemp("little")
    settings = yaml.safe_load((chapters.ROOT / "_config.yml").read_text())["sphinx"]["config"]
    settings = {key: value for key, value in settings.items() if key.startswith("nb_")}
    put(
        folder / "conf.py",
        "extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.mathjax', 'bookext']\n"
        "root_doc, html_theme, nb_execution_mode = 'book/index', 'basic', 'cache'\n"
        "exclude_patterns = ['_build']\n"
        f"globals().update({settings!r})\n",
    )
    link = "See [](part/a.ipynb#figure-2), [that line](part/a.ipynb#figure-3).\n"
    put(folder / "book/index.md", f"# Book\n\n{link}\n```{{toctree}}\npart/a\n```\n")
    cells = [new_code_cell(text, metadata=metadata) for text, _, metadata in LITTLE]
    made = new_notebook(cells=[new_markdown_cell("# Title"), *cells], metadata=normalize.METADATA)
    path = folder / "book/part/a.ipynb"
    path.parent.mkdir()
    nbformat.write(made, path)
    for cell_made, (_, outputs, _) in zip(made.cells[1:], LITTLE, strict=True):
        cell_made.outputs, cell_made.execution_count = outputs, 1
    cache = get_cache(chaptercache.folder(folder, path))
    cache.cache_notebook_bundle(CacheBundleIn(made, str(path)), check_validity=False)
    build_little(folder)
    return folder


def build_little(folder):
    command = [*"-m sphinx -W -n -q -b html".split(), folder, folder / "_build/html"]
    path = os.pathsep.join(str(chapters.ROOT / part) for part in ("book/_ext", "tools", "."))
    result = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def little_page(little):
    return (little / "_build/html/book/part/a.html").read_text(encoding="utf-8")


def test_what_a_cell_prints_by_the_way_does_not_show_in_the_page(little_page):
    for text in ("data set:", "by the way", "stored"):
        assert text not in little_page


def test_a_cell_whose_outputs_all_went_has_no_empty_one(little_page):
    cells = re.split('<div class="cell ', little_page)[1:]
    outputs = [one.partition("cell_output")[2] for one in cells]
    assert [bool(one) for one in outputs] == [False, True, True, False, True, True, True]
    # What was written to stderr must be seen, and a result is no aside.
    for output, shown in zip(
        outputs, ["", "<img", "<img", "", "aloud", "0.25", "<img"], strict=True
    ):
        assert shown in output


def test_the_column_is_still_a_place_to_link_to(little_page):
    assert little_page.count('id="column-margin"') == 1
    assert "column" in re.split('<div class="cell ', little_page.split("column-margin")[0])[-1]


def test_figures_are_numbered_in_the_order_of_reading_living_ones_too(little_page):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", little_page, re.DOTALL)
    told = [re.sub("<.*?>", "", caption) for caption in captions]
    assert told == [
        "Figure 1. The first &lt;b&gt; &amp; $r$. PNG",
        "Figure 2. The second. PNG",
        "Figure 3. The third. PNG",
    ]
    for place in (1, 2, 3):
        assert little_page.count(f'<figure class="ng-figure" id="figure-{place}">') == 1
        assert f'<a class="ng-number" href="#figure-{place}">' in captions[place - 1]


def test_other_pages_link_to_a_figure_by_its_number(little):
    index = (little / "_build/html/book/index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(part/a.html#figure-\d)".*?>([^<>]+)</span>', index)
    assert links == [("part/a.html#figure-2", "Figure 2"), ("part/a.html#figure-3", "that line")]


def test_the_picture_of_a_figure_is_a_file_that_is_shown_and_offered(little, little_page):
    assert "data:image" not in little_page
    pictures = [html for _, outputs, _ in LITTLE for html in pictures_in(outputs)]
    files = sorted((little / "_build/html/_images").iterdir())
    assert [file.name for file in files] == [f"part-a-figure-{k}.png" for k in (1, 2, 3)]
    assert [file.read_bytes() for file in files] == pictures
    for place, file in enumerate(files, 1):
        picture = Image.open(io.BytesIO(file.read_bytes()))
        assert picture.info["dpi"] == pytest.approx((192, 192), abs=0.1)
        address = f"../../_images/{file.name}"
        assert (little / "_build/html/book/part" / address).resolve() == file.resolve()
        assert little_page.count(f'src="{address}"') == 1
        offered = f'href="{address}" download aria-label="PNG of figure {place}">PNG</a>'
        assert little_page.count(offered) == 1


def pictures_in(outputs):
    data = " ".join(output.get("data", {}).get("text/html", "") for output in outputs)
    return [base64.b64decode(one) for one in re.findall(r"image/png;base64,([^\"]+)", data)]


def test_a_page_that_is_written_anew_finds_its_pictures_again(little, little_page):
    # The pages are gone, what was read of the chapter is not.
    shutil.rmtree(little / "_build/html/_images")
    (little / "_build/html/book/part/a.html").unlink()
    build_little(little)
    page = (little / "_build/html/book/part/a.html").read_text(encoding="utf-8")
    assert page.partition("<body")[2] == little_page.partition("<body")[2]
    assert len(list((little / "_build/html/_images").iterdir())) == 3


def test_a_figure_without_a_picture_inside_stays_as_it_is(tmp_path):
    body = '<figure class="ng-figure" id="figure-1"><svg></svg><figcaption>x</figcaption></figure>'
    assert figures.take_out(body, "book/a", tmp_path, str) == body
    body = '<figure class="ng-figure"><img src="data:image/png;base64,AA=="></figure>'
    assert figures.take_out(body, "book/a", tmp_path, str) == body
    assert list(tmp_path.iterdir()) == []


# --- docstrings


def test_signs_that_are_no_markup_stay_signs():
    lines = ["The weights w_ and |v|, a * b,", "of x_i in `|v| w_` and `two", "lines*` and n__."]
    assert docsigns.escaped(lines) == [
        r"The weights w\_ and \|v\|, a \* b,", "of x_i in `|v| w_` and `two", "lines*` and n_\\_.",
    ]  # fmt: skip


def test_doctests_and_indented_blocks_keep_their_signs():
    lines = [
        "A table of *::",
        "",
        "    |a|  *",
        "",
        "      b_ |",
        "Then |c|:",
        "",
        ">>> f(2 * 3)  # |x|",
        "'w_ |'",
        "",
        "|d|",
    ]
    changed = {0: "A table of *::", 5: r"Then \|c\|:", 10: r"\|d\|"}
    changed[0] = r"A table of \*::"
    assert docsigns.escaped(lines) == [changed.get(k, line) for k, line in enumerate(lines)]


ROOM = "companion.book.exercises.isometric_regularization"


@pytest.fixture(scope="module")
def api_page(tmp_path_factory):
    """The page of a small package, and below it that of an exercise room."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "companion_small.py").write_text(SMALL)
    small = ".. automodule:: companion_small\n   :members:\n"
    return api(folder, f"{small}\n.. automodule:: {ROOM}\n   :members:\n   :imported-members:\n")


def api(folder, directive):
    """An API page, built as the book builds its own; warnings are errors."""
    settings = yaml.safe_load((chapters.ROOT / "_config.yml").read_text())["sphinx"]["config"]
    assert "sphinx.ext.napoleon" in settings["extensions"]
    wanted = ("autodoc", "napoleon", "nitpick", "default_role", "python_")
    settings = {key: value for key, value in settings.items() if key.startswith(wanted)}
    (folder / "signs.py").write_text(
        "import bookext, exercisedoc\n\n\ndef setup(app):\n"
        "    app.add_autodocumenter(exercisedoc.ExerciseDocumenter)\n"
        "    app.connect('autodoc-process-docstring', bookext.escape_signs, priority=400)\n"
    )
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(folder)!r})\n"
        "extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'signs']\n"
        f"globals().update({settings!r})\n"
    )
    (folder / "index.rst").write_text(f"Page\n====\n\n{directive}")
    command = [sys.executable, *"-m sphinx -W -n -q -b text".split(), folder, folder / "out"]
    path = os.pathsep.join(str(chapters.ROOT / part) for part in ("book/_ext", "tools", "."))
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert result.returncode == 0, result.stderr
    return (folder / "out" / "index.txt").read_text()


def test_the_api_page_shows_exercises_as_the_functions_they_are_called_as(api_page):
    assert f"{ROOM}.off_the_data(solution)" in api_page
    assert api_page.count("(solution)") == 5 and api_page.count("Check a function") == 5
    assert "All data points moved by the same vector, of length 2: ..." in api_page


SMALL = '''
"""A small package."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["stretch"]


def stretch(model: nn.Module, x_: Float[Tensor, "n d"], *, dtype=torch.float64) -> nn.Module:
    """The norm |J v| of weights w_, as `2 * |v|` says: r = |F| / |grad F| and a*b*c.

    Args:
        model: A module; it is borrowed.
        x_: Samples (n, d), |x_| at most 1.
        dtype: The dtype of the *result*; by default float64.

    Returns:
        One number per sample (n,).

    Raises:
        ValueError: For |x_| above 1.

    Cost: O(n d). A table::

        |a|  *b*

    - one |c|
    - two

    >>> 2 * 3
    6
    """
'''


def test_the_page_of_the_package_shows_docstrings_as_they_read(api_page):
    page = " ".join(api_page.split())
    assert 'x_: Float[Tensor, "n d"]' in page.replace("'", '"')
    assert "model: Module" in page and "dtype=torch.float64" in page
    for sentence in (
        'The norm |J v| of weights w_, as "2 * |v|" says: r = |F| / |grad F| and a*b*c.',
        "Parameters: * **model** -- A module; it is borrowed.",
        "**x_** -- Samples (n, d), |x_| at most 1.",
        "Raises: **ValueError** -- For |x_| above 1.",
        "|a| *b*",
        "* one |c|",
        ">>> 2 * 3 6",
    ):
        assert sentence in page


def test_parameters_and_references_are_no_broken_lists():
    signature = '<dt class="sig py">f(<dl>\n<dd>x,</dd>\n</dl>)</dt><dd>It <dl>is</dl>.</dd>'
    assert barriers.lowered(signature) == (
        '<dt class="sig py">f(<span class="ng-params">\n<span class="ng-param">x,</span>\n'
        "</span>)</dt><dd>It <dl>is</dl>.</dd>"
    )
    assert "role" not in barriers.lowered('<div role="list" class="citation-list">')


# --- numbers as printed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.23412, "0.234"), (12345.6, "12300"), (-0.5, "−0.500"), (0.0, "0"), (19.4, "19.4"),
     (2e-9, "2.00e−09"), (float("nan"), "not a number"), (float("-inf"), "−∞")],
)  # fmt: skip
def test_three_digits_and_a_true_minus(value, text):
    assert rounding.number(value) == text


def test_the_interval_is_as_fine_as_the_mean():
    test = {"values": [0, 1, 2], "mean": 0.001, "low": -0.0312, "high": 0.0332}
    assert rounding.interval(test) == ("0.0010", "(−0.0312 to 0.0332)")
    assert rounding.interval(test | {"values": [1], "mean": 2.0}) == ("2.00", "")


def test_mean_and_spread_over_seeds():
    # Sample deviation of 1, 2, 3 is 1.
    assert rounding.mean_and_spread([1.0, 2.0, 3.0]) == "2.00 ± 1.00"
    assert rounding.mean_and_spread([0.25]) == "0.250"
    assert rounding.mean_and_spread([1.0, 1.0002]) == "1.00 ± 0.0001"
    assert rounding.mean_and_spread([-0.05, 0.05, 0.003]) == "0.0010 ± 0.0500"
    assert rounding.mean_and_spread([]) == ""


# --- the ledger


@pytest.fixture(autouse=True)
def plain_run(monkeypatch):
    monkeypatch.delenv("COMPANION_STRICT", raising=False)
    monkeypatch.delenv(run.VARIABLE, raising=False)
    monkeypatch.delenv("COMPANION_DATASET", raising=False)
    monkeypatch.setattr(rulers.record, "_checked", {})


def record(key="metric/tear", data="digits", values=(0.3, 0.31, 0.32), recorded="holds", **more):
    """The record that `claims.check` itself makes, so that the two cannot drift apart."""
    form = {"says": "It tears.", "because": "a fifth would be seen", "paper": "a reader's guess"}
    form |= {"verdicts": {data: recorded}} | more
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        room = rulers.record
        patch.setattr(room, "show", lambda bundle, metadata=None: shown.append(metadata))
        patch.setattr(room, "_differs", lambda record: shown.append({ledger.CLAIM: record}))
        effect = rulers.test(list(values), at_least=0.2)
        rulers.check(key, data=data, effect=effect, **form)
    return shown[0][ledger.CLAIM]


def kept(data="mnist", size="hour", key="metric/tear", doc="book/a", **form):
    """What `ledger.kept` finds of one chapter, in the form that tools/keep.py writes."""
    made = {name: record(data=data, **form)[name] for name in ("verdict", *ledger.ROLES)}
    values = {data: {key.partition("/")[2]: made}}
    return {doc: SimpleNamespace(values=values, size=size, date="2026-01-02")}


def cell(source, *outputs, **metadata):
    shown = [{"output_type": "display_data", "data": {}, "metadata": out} for out in outputs]
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": shown}


def claim_cell(source="check(...)", **form):
    entry = record(**form)
    return cell(source, {ledger.CLAIM: entry}, claim=entry["key"])


def column_cell(name, values, source="column(...)", **more):
    entry = {"name": name, "values": values, "unit": "pixels", "more_means": "farther"} | more
    return cell(source, {ledger.COLUMN: entry}, column=name)


def notebook(*cells):
    return {"cells": [{"cell_type": "markdown", "source": "# Title", "metadata": {}}, *cells]}


@pytest.fixture
def read():
    """What the ledger reads from a chapter with these cells: `read(cells, doc)`."""
    return lambda cells, doc="book/a": ledger.read(notebook(*cells), doc)


def joined(*parts):
    return {kind: [e for part in parts for e in part[kind]] for kind in parts[0]}


def test_records_are_read_from_the_metadata_of_outputs(read):
    found = read([claim_cell(), cell("1 + 1", {}), column_cell("margin", {"trained": [1.0]})])
    assert [(e["key"], e["doc"], e["verdict"]) for e in found["claims"]] == [
        ("metric/tear", "book/a", "holds")
    ]
    assert found["columns"][0]["values"] == {"trained": [1.0]}
    assert len(found["cells"]) == 2 and ledger.complaints(found) == []


def test_source_given_as_lines_is_the_same_cell(read):
    one, lines = claim_cell("a\nb"), claim_cell(["a\n", "b"])
    assert read([one])["claims"][0]["cell"] == read([lines])["claims"][0]["cell"]


def test_a_key_used_twice_and_a_cell_without_record_are_named(read):
    found = joined(
        read([claim_cell("one"), column_cell("margin", {"a": [1.0]})]),
        read([claim_cell("two"), column_cell("margin", {"a": [1.0]})], "book/b"),
        read([cell("check(...)", claim="metric/lost")], "book/c"),
    )
    said = ledger.complaints(found)
    assert said == [
        "claim 'metric/tear' is recorded 2 times (in book/a, book/b): every claim needs a key of "
        "its own, so rename one.",
        "the cell of claim 'metric/lost' in book/c left no record: it must show one claim with "
        "the key in its metadata, so run it or mend it.",
        "column 'margin' is recorded 2 times (in book/a, book/b): every column needs a name of "
        "its own, so rename one.",
    ]


def test_a_ledger_is_written_in_one_step_and_read_in_order(tmp_path, read, monkeypatch):
    found = read([claim_cell()])
    for name in ("zoo", "mnist", "digits full", "digits"):
        ledger.write(tmp_path / "ledger", name, found)
    assert list(ledger.load(tmp_path / "ledger")) == ["digits", "mnist", "digits full", "zoo"]
    assert ledger.load(tmp_path / "ledger")["digits"] == found
    with pytest.raises(TypeError):
        ledger.write(tmp_path / "ledger", "digits", {"claims": [object()]})
    assert ledger.load(tmp_path / "ledger")["digits"] == found
    assert not list((tmp_path / "ledger").glob("*.part"))


@pytest.mark.parametrize("size", run.SIZES)
def test_the_name_of_this_build(size, monkeypatch):
    monkeypatch.setenv(run.VARIABLE, run.ASKED[size])
    assert ledger.dataset() == run.name("digits")
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    assert ledger.dataset() == {"build": "mnist"}.get(size, f"mnist {size}")


def verdicts(claim):
    """By data set what each run says: size, whether it was kept, verdict."""
    return {
        data: [(one.size, one.date is not None, one.verdict) for one in runs]
        for data, runs in claim.runs.items()
    }


BUILD, HOUR = ("build", False), ("hour", True)


def test_two_builds_stand_side_by_side(read):
    builds = {
        "digits": read([claim_cell(), claim_cell("b", key="only/digits")]),
        "mnist": read([claim_cell(data="mnist", values=[0.1, 0.1, 0.1])]),
    }
    tear, only = ledger.claims(builds, "digits")
    assert verdicts(tear) == {
        "digits": [(*BUILD, "holds")],
        "mnist": [(*BUILD, "does not hold here")],
    }
    assert only.verdict("mnist") == "not run" and only.says == "It tears."


def test_a_build_on_digits_shows_what_is_kept_of_mnist(read):
    (claim,) = ledger.claims({"digits": read([claim_cell()])}, "digits", kept(values=[0.1] * 3))
    assert verdicts(claim) == {
        "digits": [(*BUILD, "holds")],
        "mnist": [(*HOUR, "does not hold here")],
    }


def test_what_is_kept_stands_beside_the_build_on_the_same_set_and_counts_more(read):
    long = kept("digits", values=[0.1, 0.2, 0.3])
    (claim,) = ledger.claims({"digits": read([claim_cell()])}, "digits", long)
    assert verdicts(claim)["digits"] == [(*BUILD, "holds"), (*HOUR, "not separable here")]
    assert claim.verdict("digits") == "not separable here" and claim.verdict("mnist") == "not run"


def test_a_run_larger_than_the_kept_one_counts_more(read, monkeypatch):
    long = kept("digits", values=[0.1] * 3)
    monkeypatch.setenv(run.VARIABLE, run.ASKED["full"])
    full = {"digits full": read([claim_cell(data="digits full")])}
    (claim,) = ledger.claims(full, "digits full", long)
    assert verdicts(claim)["digits"] == [
        (*HOUR, "does not hold here"),
        ("full", False, "holds"),
    ]
    assert claim.verdict("digits") == "holds"


def test_kept_results_are_those_of_the_chapter_and_of_the_claim(read):
    builds = {"digits": read([claim_cell(), claim_cell("b", key="metric/other")])}
    for elsewhere in (kept(doc="book/b"), kept(key="metric/third")):
        assert {c.verdict("mnist") for c in ledger.claims(builds, "digits", elsewhere)} == {
            "not run"
        }
    tear, other = ledger.claims(builds, "digits", kept())
    assert tear.verdict("mnist") == "holds" and other.verdict("mnist") == "not run"


def test_a_data_set_that_only_a_kept_run_saw_has_its_column_in_the_chapter(read):
    cells = [
        claim_cell(),
        claim_cell("b", key="metric/other"),
        claim_cell("c", key="toy", data="torus"),
    ]
    first = read(cells)
    both = joined(first, read([claim_cell("d", key="next/one")], "book/b"))
    found = ledger.claims({"digits": both}, "digits", kept("cifar10-small"))
    assert [list(claim.runs) for claim in found] == [
        ["digits", "mnist", "cifar10-small"],
        ["digits", "mnist", "cifar10-small"],
        ["torus"],
        ["digits", "mnist"],
    ]
    assert found[1].verdict("cifar10-small") == "not run"


def test_kept_results_are_read_by_the_name_of_the_chapter(monkeypatch):
    def known(name):
        if name != "metric_structure":
            raise FileNotFoundError
        return name

    monkeypatch.setattr(ledger.results, "kept", known)
    docs = ["book/distances/metric_structure", "book/index"]
    assert ledger.kept(docs) == {"book/distances/metric_structure": "metric_structure"}


def test_a_kept_result_that_cannot_be_read_stops_the_build(monkeypatch):
    def broken(name):
        raise ValueError(name)

    monkeypatch.setattr(ledger.results, "kept", broken)
    with pytest.raises(ValueError, match="metric_structure"):
        ledger.kept(["book/distances/metric_structure"])


def test_a_claim_on_digits_made_in_a_build_on_mnist_fills_the_digits_column(read):
    (claim,) = ledger.claims({"mnist": read([claim_cell(data="digits")])}, "mnist")
    assert verdicts(claim) == {"digits": [(*BUILD, "holds")], "mnist": []}


@pytest.mark.parametrize("present", ["digits", "mnist"])
def test_a_build_on_digits_has_the_last_word_on_digits(read, present):
    builds = {
        "mnist": read([claim_cell(values=[0.4, 0.4])]),
        "digits": read([claim_cell(values=[0.5, 0.5])]),
    }
    (claim,) = ledger.claims(builds, present)
    assert [one.tests["effect"]["mean"] for one in claim.runs["digits"]] == [0.5]


def test_a_claim_on_a_constructed_set_stands_once_under_its_name(read):
    builds = {
        "digits": read([claim_cell(data="torus", values=[0.4] * 3)]),
        "mnist": read([claim_cell(data="torus")]),
    }
    for present, mean in (("digits", 0.4), ("mnist", 0.31)):
        (claim,) = ledger.claims(builds, present)
        assert verdicts(claim) == {"torus": [(*BUILD, "holds")]}
        assert claim.runs["torus"][0].tests["effect"]["mean"] == pytest.approx(mean)


def test_the_sizes_stand_from_small_to_large_in_one_column(read, monkeypatch):
    builds = {}
    for size in reversed(run.SIZES):
        monkeypatch.setenv(run.VARIABLE, run.ASKED[size])
        builds[run.name("mnist")] = read([claim_cell(data=run.name("mnist"))])
    (claim,) = ledger.claims(builds, "mnist", kept())
    assert list(claim.runs) == ["digits", "mnist"]
    assert [(one.size, bool(one.date)) for one in claim.runs["mnist"]] == [
        BUILD, ("hour", False), HOUR, ("full", False),
    ]  # fmt: skip


def test_what_was_measured_for_an_earlier_wording_is_not_shown(read):
    builds = {
        "digits": read([claim_cell("check('metric/tear', at_least=0.3)")]),
        "mnist": read([claim_cell("check('metric/tear', at_least=0.2)", data="mnist"),
                       claim_cell("c", key="gone", data="mnist")]),
    }  # fmt: skip
    (claim,) = ledger.claims(builds, "digits")
    assert claim.key == "metric/tear" and claim.verdict("mnist") == "not run"


def test_what_was_measured_by_earlier_code_is_not_shown(read):
    def builds(digits, mnist):
        return {
            "digits": read([cell(digits, {}), claim_cell()]),
            "mnist": read([cell(mnist, {}), claim_cell(data="mnist")]),
        }

    (claim,) = ledger.claims(builds("r = 1", "r = 1"), "digits")
    assert claim.verdict("mnist") == "holds"
    (claim,) = ledger.claims(builds("r = 2", "r = 1"), "digits")
    assert claim.verdict("mnist") == "not run"
    one, other = (ledger.read(notebook(claim_cell()), "book/a", state) for state in "ab")
    assert one["claims"][0]["cell"] != other["claims"][0]["cell"]


def test_columns_follow_the_chapters_of_this_build(read):
    builds = {
        "digits": read(
            [column_cell("r", {"trained": [1.0]}), column_cell("m", {"a": [2.0]}, "b")]
        ),
        "mnist": read([column_cell("r", {"a": [3.0]}), column_cell("m", {}, "old")]),
    }
    cards = ledger.columns(builds, "digits")
    assert [c.name for c in cards["digits"]] == ["r", "m"]
    assert (cards["digits"][0].unit, cards["digits"][0].more_means) == ("pixels", "farther")
    assert [(c.name, c.values) for c in cards["mnist"]] == [("r", {"a": [3.0]})]


def test_accuracy_is_the_first_column(read):
    cells = [column_cell(name, {"a": [1.0]}, name) for name in ("r", "accuracy", "m")]
    cards = ledger.columns({"digits": read(cells)}, "digits")
    assert [c.name for c in cards["digits"]] == ["accuracy", "r", "m"]


# --- the pages


class Page(html.parser.HTMLParser):
    """Reads a page: its texts, anchors and links, and whether every element is closed in order."""

    VOID = ("br", "hr", "img", "input", "wbr", "circle", "path", "line", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.texts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts += [data.strip()] if data.strip() else []


def claims_page(*claims, part=lambda doc: "A part"):
    def title(doc):
        return f"Chapter {doc}"

    return str(claimpage.page(list(claims), lambda doc: f"{doc}.html", title, part))


def one(read, kept=None, **form):
    return ledger.claims({"digits": read([claim_cell(**form)])}, "digits", kept)[0]


def words(text):
    return " ".join(" ".join(Page(text).texts).split())


def inside(text, tag):
    """The words of the first element with this tag."""
    return words(text[text.index(f"<{tag}") : text.index(f"</{tag}>")] + f"</{tag}>")


def test_the_verdicts_are_those_of_the_package():
    assert tuple(claimpage.VERDICTS) == rulers.record.VERDICTS == tuple(claimpage.MEANINGS)
    drawings = [drawing for _, drawing in claimpage.VERDICTS.values()]
    assert len(set(drawings)) == 5, "a verdict must be told without its colour"
    for verdict in rulers.record.VERDICTS:
        assert verdict in Page(claimpage.badge(verdict)).texts
        assert verdict in Page(claimpage.legend()).texts


def test_a_row_unfolds_to_all_that_was_recorded(read):
    values = [0.3, 0.31, 0.32]
    control = rulers.over(values, [0.1, 0.15, 0.3], at_least=0.2)
    rival = rulers.over(values, [0.3, 0.29, 0.34], at_least=0.2)
    form = {"control": control, "rival": rival, "paper": "Mantel (1967)"}
    form |= {"recorded": "holds for another reason"}
    text = claims_page(one(read, kept(values=[0.21, 0.23, 0.22, 0.2]), **form))
    said, page = words(text), Page(text)
    for part in (
        "It tears. Mantel (1967)", "0.310 (0.293 to 0.327)", "at least 0.2: met",
        "left over the control 0.127 (", "at least 0.2: undecided ; the control itself: 0.183 ±",
        "left over the rival 0.0000 (", "at least 0.2: missed ; the rival itself: 0.310 ±",
        "Why these bounds: a fifth would be seen", "Chapter book/a", "build, 3 seeds",
        "kept run, 4 seeds, size hour, 2026-01-02", "0.215 (", "A part",
    ):  # fmt: skip
        assert part in said, part
    assert "ledger-metric/tear" in page.ids
    assert "book/a.html#claim-metric/tear" in page.links and "#of-book/a" in page.links
    assert "recorded" not in said


def test_a_row_says_the_verdict_of_the_largest_run_and_a_build_that_differs(read):
    long = kept("digits", values=[0.1, 0.2, 0.3])
    text = claims_page(one(read, long))
    assert 'data-set="digits" data-verdict="not separable here"' in text
    row = inside(text, "summary")
    assert "digits not separable here build holds mnist not run" in row
    text = claims_page(one(read, kept("digits")))
    row = inside(text, "summary")
    assert "digits holds mnist not run" in row and "build" not in row


def test_what_the_badge_would_hide_is_written_beside_it(read):
    assert "build, 3 seeds, no verdict recorded" in words(claims_page(one(read, verdicts={})))
    differing = one(read, verdicts={"digits": "does not hold here"})
    assert "build, 3 seeds, recorded: does not hold here" in words(claims_page(differing))
    two = one(read, values=[0.3, 0.3])
    assert "build, 2 seeds, recorded: holds" in words(claims_page(two))


@pytest.mark.parametrize(
    ("values", "exact", "said"),
    [([1.0], True, "build, exact"), ([1.0], False, "build, 1 seed"), ([1, 2], False, "2 seeds")],
)
def test_the_label_of_a_run_counts_its_seeds(values, exact, said):
    effect = vars(rulers.test(values, at_least=0, exact=exact))
    assert claimpage.label(ledger.Run("holds", {"effect": effect}, "build")).endswith(said)


def test_counts_take_each_claim_once_on_each_data_set(read):
    cells = [claim_cell(), claim_cell("b", key="m/two"), claim_cell("c", key="t", data="torus")]
    found = ledger.claims({"digits": read(cells)}, "digits", kept("digits", values=[0.1] * 3))
    text = claims_page(*found)
    table = inside(text, "table")
    assert "3 claims, each" in table and "verdict digits mnist constructed" in table
    assert "holds 1 – 1" in table  # the first claim's kept run says otherwise
    assert "does not hold here 1 – –" in table and "not run – 2 –" in table


def test_the_tests_that_chance_could_flip_are_counted_from_the_records(read):
    values = [0.3, 0.31, 0.32]
    control = rulers.over(values, [0.1, 0.15, 0.3], at_least=0.2)
    cells = [claim_cell(control=control)]  # two tests
    cells += [claim_cell(str(k), key=f"m/{k}") for k in range(28)]  # one test each
    cells += [claim_cell("two", key="m/two", values=[0.3, 0.31])]  # two seeds decide nothing
    found = ledger.claims({"digits": read(cells)}, "digits", kept("digits"))
    # The kept run of the first claim, which stands for it, has one test.
    assert "stand 29 tests over seeds, each at 5" in words(claims_page(*found))
    found = ledger.claims({"digits": read(cells)}, "digits")
    said = words(claims_page(*found))
    assert "stand 30 tests" in said and "flip about 2 of the 30" in said


def test_exact_tests_are_none_that_chance_could_flip():
    effect = vars(rulers.test([1.0, 1.0, 1.0], at_least=0, exact=True))
    runs = {"torus": (ledger.Run("holds", {"effect": effect}, "build"),)}
    claim = ledger.Claim("a/b", "book/a", "It is.", "ours", "it is", runs)
    assert "stand 0 tests" in words(claims_page(claim))


def test_a_constructed_set_is_named_and_has_no_column_beside_it(read):
    text = claims_page(one(read, data="torus"))
    row = inside(text, "summary")
    assert row.endswith("torus holds") and "digits" not in inside(text, "details")


def test_claims_stand_in_parts_and_chapters_and_are_listed_first(read):
    both = joined(read([claim_cell()]), read([claim_cell("b", key="other")], "book/b"))
    found = ledger.claims({"digits": both}, "digits")
    text = claims_page(*found, part=lambda doc: {"book/a": "One", "book/b": "Two"}[doc])
    page = Page(text)
    assert {"#of-book/a", "#of-book/b"} < set(page.links)
    assert {"of-book/a", "of-book/b"} < set(page.ids)
    assert text.index("<h3>One") < text.index("Chapter book/a</a></h4>") < text.index("<h3>Two")
    assert text.count("<h3>") == 2 and "<h3>" not in claims_page(*found, part=lambda doc: "")


def test_without_script_all_rows_stand_there_and_no_filter(read):
    text = claims_page(one(read))
    assert '<form class="ng-filter" autocomplete="off" hidden>' in text
    assert text.count("<script>") == 1 and "src=" not in text and "fetch" not in text
    assert "<details" in text and "<details hidden" not in text


def test_without_claims_the_pages_say_so():
    assert "No chapter has recorded a claim yet." in Page(claims_page()).texts
    assert "No chapter has filled a column yet." in Page(reportcard.page({}, str)).texts


def test_words_of_a_claim_are_no_markup_but_formulas_and_code(read):
    assert claimpage.inline("a < b & **c**, `x<y`, $r < 1$ *d*") == (
        "a &lt; b &amp; <strong>c</strong>, <code>x&lt;y</code>, "
        '<span class="math notranslate nohighlight">\\(r &lt; 1\\)</span> <em>d</em>'
    )
    tricky = one(read, paper='a "reader" <b>', says="a < b", because="1 < 2")
    text = claims_page(tricky)
    assert 'data-paper="a &#34;reader&#34; &lt;b&gt;"' in text and "<b> a" not in text
    assert "a &lt; b" in text and "1 &lt; 2" in text


LINE = '<p id="claim-{0}">claim {0}: {1}</p>'


def test_a_claim_says_its_verdict_where_it_stands(read):
    found = read([claim_cell()])["claims"]
    body = "".join(LINE.format(key, "as recorded") for key in ("metric/tear", "metric/other"))
    records = {c["key"]: c for c in found}
    page = Page(claimpage.in_place(f"<div>{body}</div>", records, {}, "../claims.html"))
    said = " ".join(page.texts)
    assert "Claim. It tears. holds digits: build, 3 seeds Numbers and bounds" in said
    assert page.links == ["../claims.html#ledger-metric/tear"]
    assert "claim metric/other: as recorded" in said, "what no build measured stays as it is"
    assert page.ids == ["claim-metric/tear", "claim-metric/other"]


def test_a_kept_run_that_says_something_else_stands_beside_it(read):
    records = {c["key"]: c for c in read([claim_cell()])["claims"]}

    def said(kept):
        runs = {key: ledger.kept_run(kept, record) for key, record in records.items()}
        line = LINE.format("metric/tear", "as recorded")
        return words(claimpage.in_place(line, records, runs, "claims.html"))

    both = said(kept("digits", values=[0.1, 0.2, 0.3]))
    assert "holds digits: build, 3 seeds not separable here kept run, 3 seeds, size hour, " in both
    assert "kept" not in said(kept("digits")), "the same verdict is not said twice"
    assert "kept" not in said(kept("mnist", values=[0.1] * 3)), "another data set is not beside it"
    assert "kept" not in said({})


@pytest.mark.parametrize("data", ["mnist", "mnist hour", "torus"])
def test_the_kept_run_beside_a_claim_is_that_of_its_data_set(read, data):
    (record,) = read([claim_cell(data=data)])["claims"]
    assert ledger.kept_run(kept(run.split(data)[0]), record).date == "2026-01-02"
    assert ledger.kept_run(kept("digits"), record) is None


def test_a_claim_without_a_recorded_verdict_says_so_where_it_stands(read):
    records = {c["key"]: c for c in read([claim_cell(verdicts={})])["claims"]}
    line = LINE.format("metric/tear", "no verdict recorded")
    said = words(claimpage.in_place(line, records, {}, "claims.html"))
    assert "holds digits: build, 3 seeds, no verdict recorded" in said


def test_the_strip_puts_each_seed_where_it_belongs():
    test = {"values": [0.0, 1.0], "low": 0.0, "high": 1.0, "at_least": 0.5, "at_most": None}
    drawn = claimpage.strip(test, (0.0, 1.0))
    # A margin of 4 % at both ends: the bound, half-way, lies at 50 %.
    assert 'x1="50.0%"' in drawn and 'cx="4.0%"' in drawn and 'cx="96.0%"' in drawn
    assert drawn.count("ng-bound") == 1
    both = claimpage.strip(test | {"at_most": 1.0}, (0.0, 1.0))
    assert both.count("ng-bound") == 2 and claimpage.strip(test, (1.0, 1.0)) == ""


def test_runs_share_one_scale_for_each_kind_of_test(read):
    claim = one(read, kept("digits", values=[0.9, 0.9, 0.9]))
    assert claimpage._scales(claim.runs["digits"]) == {"effect": (0.2, pytest.approx(0.9))}


def test_the_worked_example_follows_from_its_numbers():
    made = claimpage.example()
    tests = {role: rulers.Measured(**test) for role, test in made.tests.items()}
    assert rulers.record._verdict(*(tests[role] for role in ledger.ROLES)) == made.verdict
    text = (chapters.ROOT / "book/claims.md").read_text()
    text = " ".join(text.split())
    for role, said in (
        ("effect", "Three seeds gain 0.14, 0.16 and 0.15."),
        ("control", "so that 0.12, 0.13 and 0.14 are left over this control"),
        ("rival", "so that 0.02, 0.01 and 0.03 are left over this rival"),
    ):
        values = "{:.2f}, {:.2f} and {:.2f}".format(*tests[role].values)
        assert values in said and said in text
    for others in (tests["control"].other, tests["rival"].other):
        assert "gain {:.2f}, {:.2f} and {:.2f}".format(*others) in text
    assert f"{tests['rival'].low:.3f} to {tests['rival'].high:.3f}, contains" in text
    assert tests["effect"].at_least == 0.05 and "grow by at least 0.05" in text
    bounds = {tests[role].at_least for role in ("control", "rival")}
    assert bounds == {0.03} and "Of either, 0.03 has to be left" in text
    assert "Verdict: not separable here" in words(claimpage.worked_example())


def test_a_verdict_is_explained_once():
    pages = {path: path.read_text() for path in (chapters.ROOT / "book").glob("**/*.md")}
    explained = [path.stem for path, text in pages.items() if "{verdict-key}" in text]
    assert explained == ["claims"]


def card(columns, title=lambda doc: ""):
    return reportcard.page({"digits": columns, "mnist": []}, lambda doc: f"{doc}.html", title)


def test_the_report_card_has_a_row_for_each_network():
    values = {"linear": [1.0, 1.0], "tanh": [2.0], "untrained": [0.5], "trained": [0.25, 0.75]}
    columns = [
        ledger.Column("of_test", "book/a", "share", "more right", values),
        ledger.Column("m", "book/a", "pixels", "farther", {}),
    ]
    page = Page(card(columns))
    rows = [text for text in page.texts if text in values]
    assert rows == ["trained", "untrained", "linear", "tanh"]
    assert page.texts.count("not measured") == 4 and "mnist" not in page.texts
    assert "0.500 ± 0.354" in page.texts  # deviation of 1/4 and 3/4: 1/(2 √2)
    assert page.links == ["book/a.html#column-of_test", "book/a.html#column-m"] * 2
    said = " ".join(page.texts)
    assert "of test share; more means: more right m pixels; more means: farther" in said
    assert "network of test share m pixels" in said


def test_the_report_card_has_a_table_for_each_chapter_with_its_own_networks():
    columns = [
        ledger.Column("a", "book/a", "share", "more", {"trained_small": [1.0]}),
        ledger.Column("b", "book/b", "share", "more", {"stack": [1.0]}),
    ]
    text = card(columns, lambda doc: {"book/a": "One", "book/b": "Two"}[doc])
    first, second = (inside(f"<table{half}", "table") for half in text.split("<table")[1:])
    assert "One" in first and "trained, small set" in first and "stack" not in first
    assert "Two" in second and "stack" in second and "trained" not in second


def test_a_template_that_misspells_a_name_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("{% macro page(a) %}{{ b }}{{ a }}{% endmacro %}")
    monkeypatch.setattr(templates.ENVIRONMENT.loader, "searchpath", [str(tmp_path)])
    with pytest.raises(jinja2.UndefinedError):
        templates.macros("page.html").page("x")
    assert templates.macros("page.html", b="<").page(">") == "&lt;&gt;"


# --- the moments of a build


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A build as the extension sees it: two chapters, two late pages, and what it warns of."""
    files = {"book/index": ".md", "book/b": ".ipynb", "book/a": ".ipynb", "book/claims": ".md"}
    domain = SimpleNamespace(data={"has_equations": {}})
    part = addnodes.toctree(caption="A part", includefiles=["book/b", "book/a"])
    env = SimpleNamespace(
        config=SimpleNamespace(root_doc="book/index"),
        tocs={"book/index": nodes.bullet_list("", part)},
        found_docs=set(files),
        toctree_includes={"book/index": ["book/b", "book/a", "book/claims"]},
        metadata={doc: {} for doc in files}
        | {"book/claims": {"late": ["claims-ledger"]}, "book/index": {"late": ["living-figure"]}},
        nb_metadata={},
        doc2path=lambda doc: str(tmp_path / (doc + files[doc])),
        get_domain=lambda name: domain,
    )
    for name in ("a", "b"):
        chapter(tmp_path, "x = 1", name=name)
    outdir = tmp_path / "_build" / "html"
    app = SimpleNamespace(outdir=outdir, srcdir=tmp_path, env=env, domain=domain, said=[])
    logger = SimpleNamespace(warning=lambda text, location=None: app.said.append((location, text)))
    monkeypatch.setattr(bookext, "logger", logger)

    done = {}
    monkeypatch.setattr(bookext, "executed", lambda root, path: done.get(path))

    def ran(doc, *cells):
        done[env.doc2path(doc)] = notebook(*cells)

    app.ran, app.ledger = ran, tmp_path / "_build" / "ledger"
    return app


def test_the_executed_chapter_comes_from_the_cache_with_its_records(tmp_path):
    source = new_notebook(cells=[new_code_cell("check(...)", metadata={"claim": "metric/tear"})])
    source.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = tmp_path / "chapter.ipynb"
    nbformat.write(source, path)
    assert bookext.executed(tmp_path, str(path)) is None
    cache = get_cache(chaptercache.folder(tmp_path, path))
    done = copy.deepcopy(source)
    done.cells[0].outputs = [new_output("display_data", metadata={ledger.CLAIM: record()})]
    done.cells[0].execution_count = 1
    cache.cache_notebook_bundle(CacheBundleIn(done, str(path)), check_validity=False)
    found = ledger.read(bookext.executed(tmp_path, str(path)), "book/a")
    assert [entry["key"] for entry in found["claims"]] == ["metric/tear"]
    assert [entry["key"] for entry in found["cells"]] == ["metric/tear"]


def test_a_build_collects_its_chapters_in_order(build):
    build.ran("book/a", claim_cell("a", key="first/letter"))
    build.ran("book/b", claim_cell("b", key="first/page"))
    assert bookext.collect(build, build.env) == ["book/claims", "book/index"]
    found = ledger.load(build.ledger)["digits"]
    assert [entry["key"] for entry in found["claims"]] == ["first/page", "first/letter"]
    assert build.said == [] and build.domain.data["has_equations"] == {"book/claims": True}


def test_a_chapter_that_was_not_executed_is_a_warning(build):
    build.ran("book/a", claim_cell())
    bookext.collect(build, build.env)
    ((location, text),) = build.said
    assert location == "book/b" and "has not been executed" in text


def test_a_key_used_twice_is_a_warning_each_time(build):
    build.ran("book/a", claim_cell("one"))
    build.ran("book/b", claim_cell("two"))
    for count in (1, 2):
        bookext.collect(build, build.env)
        assert len(build.said) == count and "recorded 2 times" in build.said[-1][1]


def test_a_chapter_that_failed_is_read_again_and_not_reported_twice(build):
    build.ran("book/b")
    for doc in ("book/a", "book/b"):
        build.env.docname = doc
        bookext.dress(build, utils.new_document("page"))
    build.env.nb_metadata = {"book/a": {"exec_data": {"succeeded": False}}, "book/b": {}}
    bookext.collect(build, build.env)
    assert build.said == []
    assert bookext.read_again(build, build.env, set(), set(), set()) == ["book/a"]
    assert bookext.read_again(build, build.env, set(), {"book/a"}, set()) == []


def test_a_chapter_is_read_again_when_what_it_rests_on_has_changed(build, monkeypatch):
    put(build.srcdir / "companion/__init__.py", "")
    chapter(build.srcdir, "import companion", name="a")
    for doc in ("book/a", "book/b", "book/index"):
        build.env.docname = doc
        bookext.dress(build, utils.new_document("page"))
    nothing = set(), set(), set()
    assert bookext.read_again(build, build.env, *nothing) == []
    put(build.srcdir / "companion/__init__.py", "x = 1")
    assert bookext.read_again(build, build.env, *nothing) == ["book/a"]
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    assert sorted(bookext.read_again(build, build.env, *nothing)) == ["book/a", "book/b"]


def test_a_chapter_is_read_from_its_own_cache(build):
    build.env.mystnb_config = NbParserConfig(execution_timeout=7)
    chosen = []
    for doc in ("book/a", "book/b", "book/index"):
        bookext.choose_cache(build, doc, [""])
        chosen.append(build.env.mystnb_config.execution_cache_path)
    assert chosen[0] == str(chaptercache.folder(build.srcdir, build.env.doc2path("book/a")))
    assert chosen[0] != chosen[1] and chosen[2] == chosen[1]
    assert build.env.mystnb_config.execution_timeout == 7


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "less than a second"), (31.4, "31 s"), (150.0, "2.5 min")]
)
def test_the_running_time_names_its_data_set(seconds, words):
    sentence = bookext.running_time(seconds, "mnist full")
    assert f"in {words}, on mnist full." in sentence


def test_the_running_time_stands_under_the_title(build):
    document = utils.new_document("page")
    section = nodes.section("", nodes.title("", "Title"), nodes.paragraph("", "Text."))
    document += section
    build.env.docname = "book/a"
    build.env.nb_metadata = {"book/a": {"exec_data": {"runtime": 12.3}}}
    bookext.dress(build, document)
    assert isinstance(section[1], nodes.raw) and "in 12 s, on digits" in section[1].astext()
    build.env.docname = "book/index"
    bookext.dress(build, document)
    assert len(section) == 3


def test_the_pages_of_the_ledger_are_filled_when_all_is_read(build):
    build.ran("book/a", claim_cell(), column_cell("margin", {"trained": [1.0]}))
    build.ran("book/b")
    bookext.collect(build, build.env)
    document = utils.new_document("page")
    document += [bookext.LateNode(page="claims-ledger"), bookext.LateNode(page="report-card")]
    build.builder = SimpleNamespace(get_relative_uri=lambda here, there: f"../{there}.html")
    build.env.titles = {"book/a": nodes.title("", "Distances")}
    bookext.show(build, document, "book/claims")
    claims, card = (Page(node.astext()) for node in document.findall(nodes.raw))
    assert "../book/a.html#claim-metric/tear" in claims.links and "Distances" in claims.texts
    assert "../book/a.html#column-margin" in card.links
    assert "A part" in claims.texts and "Distances" in card.texts


def test_a_page_shows_the_first_living_figure_of_a_chapter(build):
    figures = [
        new_output("display_data", {"text/html": f'<div class="ng-living">{name}</div>'})
        for name in ("first", "second")
    ]
    plain = new_output("display_data", {"text/html": "<p>said</p>"})
    build.ran("book/a", *(new_code_cell("", outputs=[out]) for out in [plain, *figures]))
    document = utils.new_document("page")
    document += bookext.LateNode(page="living-figure", chapter="book/a")
    build.env.docname = "book/index"
    bookext.dress(build, document)
    assert build.env.metadata["book/index"] == {"late": ["living-figure"]}
    bookext.show(build, document, "book/index")
    (figure,) = document.findall(nodes.raw)
    assert figure.astext() == '<div class="ng-living">first</div>' and build.said == []


@pytest.mark.parametrize(
    ("chapter", "words"),
    [
        ("book/a", "has no living figure"),
        ("book/b", "has not been executed"),
        ("book/z", "is no page"),
    ],
)
def test_a_chapter_without_a_living_figure_is_a_warning(build, chapter, words):
    build.ran("book/a", claim_cell())
    assert bookext.living_figure(build, chapter, "book/index") == ""
    ((location, text),) = build.said
    assert location == "book/index" and words in text


def test_a_built_chapter_shows_the_verdicts_of_this_build(build):
    build.ran("book/a", claim_cell())
    build.ran("book/b")
    bookext.collect(build, build.env)
    build.builder = SimpleNamespace(get_relative_uri=lambda here, there: f"{here}/{there}")
    line = '<p id="claim-metric/tear">claim metric/tear: as recorded</p>'
    for page, shown in (("book/a", "book/a/book/claims#ledger-metric/tear"), ("book/b", line)):
        context = {"body": line}
        bookext.finish(build, page, "page.html", context, None)
        assert shown in context["body"]


def test_a_build_shows_what_is_kept_in_the_chapter_and_on_the_page(build, monkeypatch):
    build.ran("book/a", claim_cell())
    build.ran("book/b")
    bookext.collect(build, build.env)
    monkeypatch.setattr(ledger, "kept", lambda docs: kept("digits", values=[0.1] * 3))
    build.builder = SimpleNamespace(get_relative_uri=lambda here, there: there)
    build.env.titles = {"book/a": nodes.title("", "Distances")}
    context = {"body": LINE.format("metric/tear", "as recorded")}
    bookext.finish(build, "book/a", "page.html", context, None)
    document = utils.new_document("page")
    document += bookext.LateNode(page="claims-ledger")
    bookext.show(build, document, "book/claims")
    for text in (context["body"], next(document.findall(nodes.raw)).astext()):
        assert "does not hold here" in words(text) and "kept run, 3 seeds" in words(text)
