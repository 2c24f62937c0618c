"""The chapters as files: one form, readable in four places, and exercises that can be solved.

The rules are functions from a notebook (as parsed JSON) to sentences, one for each breach. Every
rule is tried on small notebooks made here, then on every chapter.
"""

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pybtex.database import parse_string
from pybtex.richtext import Text

import keep
import normalize
from chapters import ROOT, chapters
from companion import run
from companion.book import claims
from execute import execute, selected
from lessons import Task, code, exercises, folded, prose, source
from normalize import calls

CHAPTERS = chapters()
SETUP = """import sys
if "google.colab" in sys.modules:
    %pip install -q "git+https://github.com/network-geometry/book"
"""
LINES, WIDTH = 15, 76
WORDS, CLAIMS, FIGURES, OPEN = 2000, 6, 8, 3
FURTHER = "## Further measurements"


def chapter_id(path: Path) -> str:
    return path.relative_to(ROOT / "book").with_suffix("").as_posix()


# ---- the rules -------------------------------------------------------------------------------


def set_up(notebook: dict) -> list[str]:
    """The first code cell makes the chapter run in Colab, and is folded in the book."""
    cells = code(notebook)
    if not cells or not source(cells[0][1]).startswith(SETUP.strip()):
        return [f"the first code cell does not begin with these lines:\n{SETUP}"]
    if "hide-input" not in cells[0][1]["metadata"].get("tags", ()):
        return ["the first code cell does not have the tag hide-input"]
    return []


def folds(notebook: dict) -> list[str]:
    """Drawings and claims are folded in the book: the picture and the verdict are read there."""
    return [
        f"cell {i} draws or claims and does not have the tag hide-input"
        for i, cell in code(notebook)
        if source(cell).startswith(("fig = Figure(", "plots.show(", "# NBVAL_CHECK_OUTPUT"))
        and "hide-input" not in cell["metadata"].get("tags", ())
    ]


def cell_sizes(notebook: dict) -> list[str]:
    """Longer open cells hide the idea, and wider lines are cut off in the page's column."""
    found = []
    for i, cell in code(notebook):
        lines = source(cell).splitlines()
        if len(lines) > LINES and "hide-input" not in cell["metadata"].get("tags", ()):
            found.append(f"cell {i} has {len(lines)} lines: at most {LINES} are read at a glance")
        found += [
            f"cell {i} has a line of {len(line)} characters, at most {WIDTH} fit: {line.strip()}"
            for line in lines
            if len(line) > WIDTH and line not in SETUP
        ]
    return found


def colours(notebook: dict) -> list[str]:
    """A colour belongs to what it stands for through the whole book: `plots` knows which."""
    return [
        f"cell {i} has the colour {match[0]}: take one of plots.looks or plots.NEUTRAL"
        for i, cell in code(notebook)
        for match in re.finditer(r"(?<![\w&])#[0-9A-Fa-f]{6}\b", source(cell))
    ]


def keys(notebook: dict) -> list[str]:
    """A claim's key in the metadata, which makes its fixed line, is the one in its source."""
    found = []
    for i, cell in code(notebook):
        marked = {k: v for k, v in cell["metadata"].items() if k in ("claim", "column")}
        try:
            fixed = normalize.fixed_line(source(cell))
        except ValueError as error:
            found.append(f"cell {i}: {error}")
            continue
        if marked != (dict([fixed]) if fixed else {}):
            found.append(f"cell {i} is marked {marked}, its source says {fixed}: make normalize")
    return found


def plain_markdown(notebook: dict) -> list[str]:
    """Directives, roles, targets and substitutions show as raw text in Colab."""
    found = []
    for i, text in prose(notebook):
        unfenced = re.sub(r"^(```+|~~~+)(?!\s*\{).*?^\1\s*$", "", text, flags=re.M | re.S)
        found += [
            f"cell {i} has a directive: {match[0].strip()}"
            for match in re.finditer(r"^\s*(?:```+|~~~+|:::+)\s*\{.*$", unfenced, re.MULTILINE)
        ]
        # What stands right before a code span makes it a role.
        pieces = re.split(r"(`+)(?!`).+?(?<!`)\1(?!`)", unfenced, flags=re.DOTALL)[::2]
        found += [
            f"cell {i} has a role: {match[0]}"
            for piece in pieces[:-1]
            if (match := re.search(r"\{[A-Za-z][\w:+-]*\}$", piece))
        ]
        spoken = "\n".join(pieces)
        found += [
            f"cell {i} has a target or a substitution: {match[0]}"
            for match in re.finditer(r"^\([\w:-]+\)=$|\{\{.*?\}\}(?!\})", spoken, re.MULTILINE)
            if "$" not in spoken[spoken.rfind("\n", 0, match.start()) + 1 : match.start()]
        ]
    return found


def alternatives(notebook: dict) -> list[str]:
    """A picture says in words what it shows, for readers who do not see it."""
    found = []
    for i, text in prose(notebook):
        bare = re.findall(r"!\[\s*\]", text)
        bare += re.findall(r"<img\b(?![^>]*\balt=(?:\"[^\"]+\"|'[^']+'))[^>]*>", text)
        found += [f"cell {i} has a picture without alt text: {picture}" for picture in bare]
    for i, cell in code(notebook):
        for call in calls(source(cell), "plots", "show"):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            found += [
                f"cell {i}: plots.show has no {name}"
                for name in ("caption", "alt")
                if name not in given or getattr(given[name], "value", "text") in ("", None)
            ]
    return found


def both_skips(notebook: dict) -> list[str]:
    """A cell for a live kernel is skipped by the book and by the tests, which read other tags."""
    skips = {"skip-execution", "nbval-skip"}
    tags = [(i, skips & set(c["metadata"].get("tags", ()))) for i, c in code(notebook)]
    return [f"cell {i} has only one of {sorted(skips)}" for i, has in tags if len(has) == 1]


def equations(notebook: dict) -> list[str]:
    """Formulas are numbered 1, 2, 3 through the chapter, and no other number is cited."""
    tags = [int(tag) for _, text in prose(notebook) for tag in re.findall(r"\\tag\{(\d+)\}", text)]
    text = "\n".join(map(source, notebook["cells"]))
    cited = {int(tag) for tag in re.findall(r"\b[Ff]ormula \((\d+)\)(?! of )", text)}
    found = [
        f"formula {place} has the number {tag}: count from 1 in the order of reading"
        for place, tag in enumerate(tags, 1)
        if tag != place
    ]
    return found + [f"formula ({tag}) is cited, and none has it" for tag in cited - set(tags)]


def printed(notebook: dict) -> list[str]:
    """What a cell prints is left out of the page: the reader's sentences are displayed."""
    return [
        f"cell {i} prints, which the page does not show: use claims.say, or leave it out"
        for i, cell in code(notebook)
        for node in ast.walk(normalize.parsed(source(cell)))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]


def living_captions(notebook: dict) -> list[str]:
    """The caption of a figure with many states is held against each of them."""
    return [
        f"cell {i}: widgets.Frames has no holds=, so its caption may be false in some states"
        for i, cell in code(notebook)
        for call in calls(source(cell), "widgets", "Frames")
        if "holds" not in {keyword.arg for keyword in call.keywords}
    ]


def bibliography() -> dict[str, tuple[str, str]]:
    """(first author's surname, year) of each work, by arXiv number and by DOI."""
    return works((ROOT / "book" / "references.bib").read_text(encoding="utf-8"))


def works(text: str) -> dict[str, tuple[str, str]]:
    found = {}
    for entry in parse_string(text, "bibtex").entries.values():
        surname = Text.from_latex(" ".join(entry.persons["author"][0].last_names))
        author_year = str(surname), entry.fields.get("year", "")
        addresses = " ".join(entry.fields.get(name, "") for name in ("url", "doi", "eprint"))
        for work in (entry.fields.get("eprint"), entry.fields.get("doi"), work_of(addresses)):
            if work:
                found[work.lower()] = author_year
    return found


def work_of(address: str) -> str | None:
    """The arXiv number or DOI in an address, None if it has neither."""
    match = re.search(r"arxiv\.org/(?:abs|pdf)/([\w.-]+/\d+|\d+\.\d+)", address)
    match = match or re.search(r"doi\.org/(10\.\S+)", address)
    return match[1].lower() if match else None


def citations(notebook: dict, known: dict[str, tuple[str, str]]) -> list[str]:
    """A link to a paper has an entry in the bibliography, with this author and year."""
    found = []
    for i, text in prose(notebook):
        for shown, link in re.findall(r"\[([^\]]+)\]\(<?([^)\s>]+)", text):
            work = work_of(link)
            if work is None:
                continue
            if work not in known:
                found.append(f"cell {i} cites {link}, which is not in references.bib")
                continue
            author, year = known[work]
            said = re.search(r"\((\d{4})[a-z]?", shown)
            # Letters with accents are spelled in several ways: the plain ones decide.
            letters = re.sub(r"[^A-Za-z]", ".?", author)
            if said and (said[1] != year or not re.search(letters, shown)):
                entry = f"references.bib has {author} {year}"
                found.append(f"cell {i} cites {shown!r}, {entry}: {link}")
    return found


def recorded(notebook: dict) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each claim what was run, as it is written in the chapter, and its recorded verdicts."""
    found = {}
    for _, cell in code(notebook):
        for call in calls(source(cell), "claims"):
            if call.func.attr == "check":
                given = {word.arg: word.value for word in call.keywords}
                data = ast.unparse(given["data"])
                found[call.args[0].value] = data, ast.literal_eval(given["verdicts"])
    return found


def verdicts(notebook: dict) -> list[str]:
    """A claim without a recorded verdict is never compared, and a slip of the pen removes one.

    What was run is `run.name(...)`, or a larger run would be held against the build's verdicts.
    "mnist hour" may stand beside "mnist": what the kept result says.
    """
    found = []
    for key, (data, said) in recorded(notebook).items():
        named = re.fullmatch(r"run\.name\((?:data\.name|'([\w-]+)')\)", data)
        if named is None:
            found.append(f"claim {key} runs on {data}, not on run.name(data.name)")
            continue
        needed = {named[1]} if named[1] else {"digits", "mnist"}
        # A data set that only a kept run is made on has a verdict of that size alone.
        others = {run.split(name)[0] for name in said} - needed
        only_kept = set(keep.kept_on(notebook)) - needed if not named[1] else set()
        if not (needed <= set(said) and others <= only_kept and not others & set(said)):
            found.append(f"claim {key} records {sorted(said)}, not {sorted(needed)}")
    return found


# ---- how much a chapter holds ----------------------------------------------------------------


def words(text: str) -> int:
    """Words that are read: without code, formulas, addresses and tags."""
    for unread in (r"^```.*?^```", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"`[^`\n]+`", r"<[^>]+>"):
        text = re.sub(unread, " ", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    return len(re.findall(r"[^\W\d_][\w'’-]*", text))


def reading(notebook: dict) -> list[str]:
    """A chapter is read in half an hour, and then it has been asked one question."""
    count = sum(words(text) for _, text in prose(notebook))
    return [f"the prose has {count} words, at most {WORDS} are read"] if count > WORDS else []


def claimed(notebook: dict) -> list[str]:
    """Six claims serve one question; more are further measurements."""
    ends = [i for i, text in prose(notebook) if re.search(rf"^{FURTHER}$", text, re.MULTILINE)]
    end = min(ends, default=len(notebook["cells"]))
    before = [c for i, cell in code(notebook) for c in calls(source(cell), "claims", "check")
              if i < end]  # fmt: skip
    if len(before) <= CLAIMS:
        return []
    return [f"{len(before)} claims stand before {FURTHER!r}, at most {CLAIMS} serve one question"]


def drawn(cell: dict) -> int:
    """How many figures a cell shows, living ones among them."""
    text = source(cell)
    living = [c for c in calls(text, "widgets") if c.func.attr in ("Plane", "Frames")]
    return len(calls(text, "plots", "show")) + len(living)


def figures(notebook: dict) -> list[str]:
    """More pictures than this are leafed through."""
    count = sum(drawn(cell) for _, cell in code(notebook))
    return [f"there are {count} figures, at most {FIGURES} are looked at"] * (count > FIGURES)


def is_folded(cell: dict) -> bool:
    return cell["cell_type"] == "code" and "hide-input" in cell["metadata"].get("tags", ())


def open_code(notebook: dict) -> list[str]:
    """Open code is the argument: what a section has more of is a loop or a table."""
    found, heading, count = [], "the beginning", 0
    for cell in [*notebook["cells"], {"cell_type": "markdown", "source": "# the end"}]:
        text = source(cell)
        if cell["cell_type"] == "code" and not is_folded(cell):
            count += 1
        headings = re.findall(r"^#+ .*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S),
                              re.MULTILINE)  # fmt: skip
        if cell["cell_type"] == "markdown" and headings:
            if count > OPEN:
                found.append(f"{heading} has {count} open cells, at most {OPEN} are the argument")
            heading, count = headings[-1], 0
    return found


def fold_runs(notebook: dict) -> list[str]:
    """One fold per figure: a bar to unfold with nothing beside it says nothing."""
    cells, found = notebook["cells"], []
    for i, cell in code(notebook)[1:]:
        if not is_folded(cell):
            continue
        if is_folded(cells[i - 1]):
            found.append(f"cell {i} is folded right below another fold: join them, or say why")
        text = source(cell)
        kept = {"check", "column", "beside"} & {
            call.func.attr for call in calls(text, "claims")
        }
        if not kept and drawn(cell) != 1:
            found.append(f"cell {i} is folded and shows {drawn(cell)} figures, not one")
    return found


COUNTS = [reading, claimed, figures, open_code, fold_runs]


# ---- exercises -------------------------------------------------------------------------------


def answers(chapters: dict[str, dict]) -> list[tuple[str, str, str]]:
    """(title, answer to the untouched stub, answer to the solution) of each exercise.

    One kernel for all chapters, emptied between them: to start one costs more than to solve.
    """
    titles, cells = [], []
    for name, notebook in chapters.items():
        cells += [f"%reset -f\n{source(code(notebook)[0][1])}"]
        for task in exercises(notebook):
            titles += [f"{name}: {task.title}"]
            cells += ["\n".join(task.stub.values()), f"{task.solution}\n{task.check}"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    NotebookClient(made, timeout=300, kernel_name="python3").execute()
    said = [shown(cell) for cell in made.cells if not cell.source.startswith("%reset")]
    return list(zip(titles, said[::2], said[1::2], strict=True))


def shown(cell: dict) -> str:
    """All plain text that a cell shows."""
    outputs = cell["outputs"]
    texts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs]
    return "\n".join("".join(text) for text in texts)


# ---- every chapter ---------------------------------------------------------------------------

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=chapter_id)


@each_chapter
@pytest.mark.parametrize(
    "rule",
    [
        set_up,
        folds,
        cell_sizes,
        colours,
        keys,
        verdicts,
        plain_markdown,
        alternatives,
        both_skips,
        equations,
        printed,
        living_captions,
    ],
    ids=lambda rule: rule.__name__,
)
def test_chapter(rule, path):
    assert rule(json.loads(path.read_text(encoding="utf-8"))) == []


@each_chapter
@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count.__name__)
def test_a_chapter_holds_what_is_read(count, path):
    assert count(json.loads(path.read_text(encoding="utf-8"))) == []


@each_chapter
def test_chapter_cites_what_the_bibliography_has(path):
    assert citations(json.loads(path.read_text(encoding="utf-8")), bibliography()) == []


@each_chapter
def test_every_exercise_has_a_solution_and_a_check_under_its_heading(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    tasks = exercises(notebook)
    assert [task.title for task in tasks if not task.solution or not task.check] == []
    # A check or a solution below no heading "Exercise ..." would never be run.
    asked = sum(len(calls(source(c), "exercises")) for _, c in code(notebook))
    assert asked == sum(task.check.count("exercises.") for task in tasks)
    assert sum(bool(folded(text)) for _, text in prose(notebook)) == len(tasks)


def test_exercises_can_be_solved_and_start_unsolved(monkeypatch):
    monkeypatch.setenv("COMPANION_DATASET", "digits")
    read = {chapter_id(path): json.loads(path.read_text(encoding="utf-8")) for path in CHAPTERS}
    for title, untouched, solved in answers(read):
        assert "not attempted yet" in untouched, f"{title}: {untouched}"
        assert re.search(r"^Right\b", solved, re.MULTILINE), f"{title}: {solved}"


# Kernels without the package: `%pip` is a stand-in that puts it there and notes its arguments.
# Between two chapters the package goes again; what else was imported stays, since it was there.
BARE = """
import contextlib, importlib.abc, json, sys, types
from IPython.core.interactiveshell import InteractiveShell

class Bare(importlib.abc.MetaPathFinder):
    installed = []

    def find_spec(self, name, path=None, target=None):
        if name == "companion" and not self.installed:
            raise ModuleNotFoundError("No module named 'companion'")

sys.meta_path.insert(0, Bare())
shell = InteractiveShell.instance()
shell.register_magic_function(Bare.installed.append, "line", "pip")

def run(cell):
    with contextlib.redirect_stdout(sys.stderr):
        error = shell.run_cell(cell).error_in_exec
    return [type(error).__name__ if error else "fine", len(Bare.installed)]

def first(cell):
    for name in [name for name in sys.modules if name.partition(".")[0] == "companion"]:
        del sys.modules[name]
    Bare.installed.clear()
    shell.reset(new_session=False)
    steps = [run(cell)]
    sys.modules["google.colab"] = types.ModuleType("google.colab")
    steps += [run(cell)]
    del sys.modules["google.colab"]
    steps += [run(cell)]
    return [steps, list(Bare.installed)]

print(json.dumps({name: first(cell) for name, cell in json.load(sys.stdin).items()}))
"""


def test_the_first_cell_makes_colab_ready_and_does_nothing_elsewhere(tmp_path):
    cells = {
        chapter_id(path): source(code(json.loads(path.read_text(encoding="utf-8")))[0][1])
        for path in CHAPTERS
    }
    done = subprocess.run(
        [sys.executable, "-c", BARE],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        env=os.environ | {"COMPANION_DATASET": "digits", "IPYTHONDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found) == list(cells)
    for name, (steps, installed) in found.items():
        elsewhere_without, once, elsewhere = steps
        assert elsewhere_without == ["ModuleNotFoundError", 0], f"{name}: not bare"
        assert once == ["fine", 1], name
        assert elsewhere == ["fine", 1], f"{name}: outside Colab nothing may be installed"
        assert set(installed) == {'install -q "git+https://github.com/network-geometry/book"'}


@pytest.mark.parametrize("path", normalize.notebooks(), ids=chapter_id)
def test_notebook_is_in_normal_form(path):
    before = path.read_text(encoding="utf-8")
    assert normalize.text(normalize.normal(json.loads(before))) == before, "run make normalize"


# ---- the rules on small notebooks ------------------------------------------------------------


def cell(text: str, kind: str = "code", **metadata) -> dict:
    made = {"cell_type": kind, "metadata": metadata, "source": text}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def book(*cells: dict | str) -> dict:
    """A notebook; a bare text is a Markdown cell."""
    made = [cell(c, "markdown") if isinstance(c, str) else c for c in cells]
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


CLAIM = '# NBVAL_CHECK_OUTPUT\nclaims.check(\n    "a/b", says="x")'


SHOWN = "plots.show(fig, caption=c, alt=a)"
FOLD = {"cell_type": "code", "metadata": {"tags": ["hide-input"]}, "source": SHOWN}
SET = FOLD | {"source": "import torch"}

RECORD = "claims.check('a/b', data={}, verdicts={{'{}': 'holds'}})"


@pytest.mark.parametrize(
    ("rule", "notebook", "said"),
    [
        (set_up, book(cell("import torch")), "does not begin with"),
        (set_up, book(cell(SETUP + "import torch")), "tag hide-input"),
        (set_up, book("no code"), "does not begin with"),
        (folds, book(cell('plots.show(fig, caption="x")')), "tag hide-input"),
        (folds, book(cell(CLAIM, claim="a/b")), "tag hide-input"),
        (cell_sizes, book(cell("x = 1\n" * 16)), "16 lines"),
        (cell_sizes, book(cell("x = " + "1" * 73)), "a line of 77 characters"),
        (cell_sizes, book(cell("x = " + "1" * 73, tags=["hide-input"])), "a line of 77"),
        (colours, book(cell('axes.plot(x, color="#0072b2")')), "has the colour #0072b2"),
        (keys, book(cell(CLAIM, claim="a/c")), "its source says ('claim', 'a/b')"),
        (keys, book(cell(CLAIM)), "make normalize"),
        (keys, book(cell("x = 1", claim="a/b")), "make normalize"),
        (keys, book(cell('claims.check("a/b")')), "does not begin with the line"),
        (plain_markdown, book("```{note}\nhear\n```"), "directive: ```{note}"),
        (plain_markdown, book("text\n\n:::{tip}\nhear\n:::"), "directive: :::{tip}"),
        (plain_markdown, book("see {cite}`fawzi`"), "role: {cite}"),
        (plain_markdown, book("`a` and {cite:t}`fawzi`"), "role: {cite:t}"),
        (plain_markdown, book("(here)=\n# Title"), "target or a substitution: (here)="),
        (plain_markdown, book("walk {{ far }}"), "target or a substitution: {{ far }}"),
        (alternatives, book("![](a.png)"), "without alt text"),
        (alternatives, book('<img src="a.png" alt="">'), "without alt text"),
        (alternatives, book(cell('plots.show(fig, caption="x")')), "plots.show has no alt"),
        (alternatives, book(cell('plots.show(fig, caption="", alt="x")')), "has no caption"),
        (both_skips, book(cell("explore()", tags=["nbval-skip"])), "only one of"),
        (reading, book("# Title", "read " * 2001), "the prose has 2002 words"),
        (claimed, book(*7 * [cell(CLAIM)], FURTHER, cell(CLAIM)), "7 claims stand before"),
        (figures, book(*8 * [cell(SHOWN)], cell("widgets.Plane(net)")), "there are 9 figures"),
        (open_code, book("# A", *4 * [cell("x = 1")], "## B"), "# A has 4 open cells"),
        (open_code, book("## B", *4 * [cell("x = 1")]), "## B has 4 open cells"),
        (fold_runs, book(SET, "so", FOLD, FOLD), "right below"),
        (fold_runs, book(SET, "so", cell("x = 1", tags=["hide-input"])), "shows 0 figures"),
        (fold_runs, book(SET, cell(CLAIM, tags=["hide-input"])), "right below another fold"),
        (verdicts, book(cell(RECORD.format("run.name(data.name)", "digitz"))), "not ['digits'"),
        (verdicts, book(cell(RECORD.format("run.name('torus')", "digits"))), "not ['torus']"),
        (verdicts, book(cell(RECORD.format("run.name('torus')", "torus hour"))), "not ['torus']"),
        (verdicts, book(cell(RECORD.format("'torus'", "torus"))), "not on run.name"),
        (verdicts, book(cell(RECORD.format("data.name", "digits"))), "not on run.name"),
        (equations, book("$$a \\tag{1}$$", "$$b \\tag{3}$$"), "formula 2 has the number 3"),
        (equations, book("$$a \\tag{2}$$"), "formula 1 has the number 2"),
        (equations, book("$$a \\tag{1}$$", cell("x = 1  # formula (2)")), "(2) is cited"),
        (printed, book(cell("if x:\n    print(x)")), "cell 0 prints"),
        (living_captions, book(cell("widgets.Frames(f, sliders=s)")), "has no holds="),
    ],
)
def test_a_rule_finds_its_breach(rule, notebook, said):
    found = rule(notebook)
    assert len(found) == 1 and said in found[0]


@pytest.mark.parametrize(
    ("rule", "notebook"),
    [
        (set_up, book(cell(SETUP + "import torch", tags=["hide-input"]))),
        (folds, book(cell("fig = Figure()", tags=["hide-input"]), cell("r = fall(x)"))),
        (cell_sizes, book(cell(SETUP + "x = 1\n" * 12), "a line of prose is as long " * 20)),
        (cell_sizes, book(cell("x = 1\n" * 16, tags=["hide-input"]))),
        (colours, book(cell("axes.plot(x, color=plots.NEUTRAL[0].color)  # the first"))),
        (keys, book(cell(CLAIM, claim="a/b"), cell("x = 1"))),
        (plain_markdown, book("```python\n:::{note}\n```\n\n`{x}`, `f'{y}'`, $\\frac{{a}}{b}$")),
        (plain_markdown, book("a set {a} `b`, and `a {x}` and `b`")),
        (alternatives, book("![a dot](a.png)", cell("plots.show(f, caption=c, alt='a dot')"))),
        (both_skips, book(cell("explore()", tags=["nbval-skip", "skip-execution"]))),
        (reading, book("read " * 1998 + "`a` $b$ [c d](e f) <g h>\n```python\ni j k l\n```")),
        (claimed, book(*6 * [cell(CLAIM)], FURTHER, *3 * [cell(CLAIM)])),
        (figures, book(*8 * [cell(SHOWN)])),
        (open_code, book("# A", *3 * [cell("x")], "## B", *3 * [cell("x")], FOLD)),
        (open_code, book("# A", *2 * [cell("x")], "```python\n# no heading\n```", cell("x"))),
        (fold_runs, book(SET, "so", FOLD, "and", cell(CLAIM, tags=["hide-input"]), cell("x"))),
        (verdicts, book(cell(RECORD.format("run.name('torus')", "torus")))),
        (equations, book("$$a \\tag{1}$$ $$b$$", "$$c \\tag{2}$$ by formula (1)")),
        (equations, book("as formula (4) of the chapter before has it")),
        (printed, book("`print(x)`", cell("claims.say('print(x)')  # no print(x)"))),
        (living_captions, book(cell("widgets.Frames(f, sliders=s, holds=so)"))),
    ],
)
def test_a_rule_lets_pass_what_is_right(rule, notebook):
    assert rule(notebook) == []


BIB = r"""
@article{a, author = {Fawzi, Alhussein and Soatto, Stefano}, year = {2018}, eprint = {1705.09552}}
@article{b, author = {Lepper{\o}d, M. E.}, year = {2022}, doi = {10.1000/XYZ}}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Fawzi et al. (2018)](https://arxiv.org/abs/1705.09552)", None),
        ("[Fawzi et al. (2018)](https://arxiv.org/pdf/1705.09552v2)", None),
        ("[Lepperød (2022)](https://doi.org/10.1000/xyz)", None),
        ("[the paper](https://arxiv.org/abs/1705.09552)", None),
        ("[Fawzi et al. (2017)](https://arxiv.org/abs/1705.09552)", "has Fawzi 2018"),
        ("[Soatto (2018)](https://arxiv.org/abs/1705.09552)", "has Fawzi 2018"),
        ("[Fawzi et al. (2018)](https://arxiv.org/abs/1705.09553)", "is not in references.bib"),
        ("[a page](https://example.org/2018)", None),
    ],
)
def test_citations_are_held_against_the_bibliography(text, said):
    found = citations(book(text), works(BIB))
    assert (found == []) if said is None else (len(found) == 1 and said in found[0])


TASK = """## Exercises

### Exercise 1: a half

Write half.

<details><summary>Hint</summary>

```python
raise ValueError("a hint is not a solution")
```

</details>

<details><summary>Solution</summary>

```python
def half(x):
    return x / 2
```

</details>
"""
STUB = """class exercises:
    def half(f):
        found = f(4)
        print("not attempted yet" if found is None else "Right, a half." if found == 2 else "no")

def half(x):
    ...

exercises.half(half)"""


def test_an_exercise_is_cut_out_of_its_cells():
    (task,) = exercises(book(cell("x = 1"), TASK, cell(STUB), "## After", cell("x = 2")))
    assert task == Task(
        title="Exercise 1: a half",
        stub={2: STUB},
        check="exercises.half(half)",
        solution="def half(x):\n    return x / 2\n",
    )


def test_a_chapter_without_exercises_has_none():
    assert exercises(book("# Title", cell("x = 1"))) == []


def test_a_check_may_come_later_than_its_stub():
    first, last = "half = None", "exercises.half(half)"
    solution = TASK[TASK.index("<") :]
    (task,) = exercises(book("**Exercise.** Halve.", cell(first), solution, cell(last)))
    assert (task.stub, task.check) == ({1: first, 3: last}, last)
    assert task.solution == "def half(x):\n    return x / 2\n"


def test_an_exercise_is_run_before_and_after_its_solution_and_sees_no_other_chapter():
    one = book(cell("left_behind = 1"))
    two = book(cell('assert "left_behind" not in dir()'), TASK, cell(STUB))
    ((title, untouched, solved),) = answers({"one": one, "two": two})
    assert title == "two: Exercise 1: a half"
    assert untouched.strip() == "not attempted yet"
    assert solved.strip() == "Right, a half."


def kept(path: Path) -> dict[str, dict] | None:
    """What is kept of a chapter's run of an hour, by data set and claim; None if nothing is."""
    file = ROOT / "companion" / "book" / "results" / f"{path.stem}.json"
    return json.loads(file.read_text(encoding="utf-8"))["values"] if file.is_file() else None


@each_chapter
def test_a_chapter_records_the_verdicts_of_its_kept_run(path):
    """So strict mode at the size of an hour passes if that run says again what is kept."""
    values, said = kept(path), recorded(json.loads(path.read_text(encoding="utf-8")))
    hours = {
        (key, run.split(name)[0]): verdict
        for key, (_, recorded_verdicts) in said.items()
        for name, verdict in recorded_verdicts.items()
        if run.split(name)[1] == "hour"
    }
    assert hours == {
        (f"{path.stem}/{key}", data): found["verdict"]
        for data, kept_claims in (values or {}).items()
        for key, found in kept_claims.items()
    }
    if values:
        assert {key for key, _ in hours} == set(said)


@each_chapter
def test_a_chapter_with_an_hour_of_its_own_has_kept_what_it_gave(path):
    cells = "\n".join(source(cell) for _, cell in code(json.loads(path.read_text())))
    sized = [call for call in calls(cells, "run") if call.func.attr == "pick"]
    assert sized, "a chapter's sizes are chosen by run.pick"
    assert any(word.arg == "hour" for call in sized for word in call.keywords) == bool(kept(path))


def kept_claims() -> list[tuple[str, dict]]:
    return [
        (f"{file.stem}, {data}, {key}", found)
        for file in (ROOT / "companion" / "book" / "results").glob("*.json")
        for data, named in json.loads(file.read_text(encoding="utf-8"))["values"].items()
        for key, found in named.items()
    ]


def test_kept_verdicts_follow_from_the_kept_values():
    """From the values per seed, not from the outcomes that were kept beside them."""
    for where, found in kept_claims():
        parts = {word: held_again(found[word], where) for word in ("effect", "control", "rival")}
        claims.record._check_tests(parts, where)
        assert claims.record._verdict(**parts) == found["verdict"], where


def held_again(test: dict | None, where: str) -> claims.Measured | None:
    """A kept test held against its bound anew; its numbers are kept to four digits."""
    if test is None:
        return None
    ends = {word: test[word] for word in ("at_least", "at_most") if test[word] is not None}
    bound = ends if len(ends) == 1 else {"between": tuple(ends.values())}
    again = claims.test(test["values"], **bound, exact=test["exact"])
    wide = max(map(abs, (test["low"], test["high"], *test["values"], *(test["other"] or ()))))
    for word in ("mean", "low", "high"):
        # Each difference of a pair is rounded, and each of the ends once more.
        assert getattr(again, word) == pytest.approx(test[word], abs=2e-3 * wide), (where, word)
    assert again.outcome == test["outcome"], where
    return dataclasses.replace(again, other=test["other"] and tuple(test["other"]))


# ---- normal form -----------------------------------------------------------------------------


def test_normal_form_drops_what_a_run_or_an_editor_left():
    used = cell("1 + 1\n", tags=["hide-input"], collapsed=True, ExecuteTime={"end": 1})
    output = {"output_type": "stream", "name": "stdout", "text": "2"}
    used |= {"execution_count": 7, "outputs": [output]}
    given = book("# Title", used) | {"metadata": {"widgets": {}, "kernelspec": {"name": "mine"}}}
    made = normalize.normal(given)
    nbformat.validate(nbformat.from_dict(made))
    assert made["metadata"] == normalize.METADATA
    assert made["cells"][1] == {
        "cell_type": "code",
        "execution_count": None,
        "id": "cell-001",
        "metadata": {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]},
        "outputs": [],
        "source": "1 + 1",
    }


def test_what_the_book_folds_is_folded_in_jupyterlab():
    hidden = {"source_hidden": True}
    opened = cell("x", jupyter=hidden | {"outputs_hidden": True}, tags=["raises-exception"])
    given = book("# Title", cell("x", tags=["hide-input"]), opened, cell("x", jupyter=hidden))
    made = [c["metadata"] for c in normalize.normal(given)["cells"]]
    assert made == [
        {},
        {"tags": ["hide-input"], "jupyter": hidden},
        {"tags": ["raises-exception"]},
        {},
    ]
    text = cell("words", "markdown", tags=["hide-input"])
    assert normalize.normal(book(text))["cells"][0]["metadata"] == {"tags": ["hide-input"]}


@pytest.mark.parametrize(
    ("text", "kind", "key", "line"),
    [
        (CLAIM, "claim", "a/b", "claim a/b: as recorded"),
        (
            '# NBVAL_CHECK_OUTPUT\nclaims.column("margin", values)',
            "column",
            "margin",
            "column margin: stored",
        ),
    ],
)
def test_claim_and_column_cells_carry_their_fixed_line(text, kind, key, line):
    made = normalize.normal(book(cell(text)))["cells"][0]
    assert made["metadata"] == {kind: key}
    assert made["execution_count"] == 1  # null would keep the test runner from comparing
    (output,) = made["outputs"]
    assert output["data"] == {"text/plain": line, "text/html": f'<p id="{kind}-{key}">{line}</p>'}
    assert output["metadata"] == {}


def test_normal_form_is_stable_and_keeps_ids():
    given = book("# Title", cell(CLAIM), cell("x"), cell("y"), cell("z"))
    given["cells"][2]["id"] = given["cells"][3]["id"] = "kept"
    given["cells"][4]["id"] = "not valid"
    made = normalize.normal(given)
    ids = [c["id"] for c in made["cells"]]
    assert ids == ["cell-000", "cell-001", "kept", "cell-003", "cell-004"]
    once = normalize.text(made)
    assert normalize.text(normalize.normal(json.loads(once))) == once
    assert once.endswith("}\n") and '\n "cells"' in once


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('claims.check("a")', "1 calls .* does not begin with"),
        ("# NBVAL_CHECK_OUTPUT\nx = 1", "0 calls .* begins with"),
        ('x = 1\n# NBVAL_CHECK_OUTPUT\nclaims.check("a")', "does not begin with"),
        ('# NBVAL_CHECK_OUTPUT\nclaims.check("a")\nclaims.column("b", v)', "2 calls"),
        ("# NBVAL_CHECK_OUTPUT\nclaims.check(key)", "has no written-out key"),
    ],
)
def test_a_claim_cell_that_would_not_be_compared_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        normalize.fixed_line(text)


def test_the_command_names_and_mends(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(book("# Title")))
    assert normalize.main(["--check", str(path)]) == 1
    assert "make normalize" in capsys.readouterr().out
    assert normalize.main([str(path)]) == 0
    assert normalize.main(["--check", str(path)]) == 0


# ---- execution -------------------------------------------------------------------------------


def test_chapters_are_the_notebooks_of_the_table_of_contents(tmp_path):
    toc = "root: index\nparts:\n- chapters:\n  - {file: a, sections: [{file: b/c}]}\n  - file: d\n"
    (tmp_path / "_toc.yml").write_text(toc)
    (tmp_path / "b").mkdir()
    for name in ("a.ipynb", "b/c.ipynb", "d.md", "left_out.ipynb"):
        (tmp_path / name).touch()
    assert chapters(tmp_path) == [tmp_path / "a.ipynb", tmp_path / "b" / "c.ipynb"]


def test_a_chapter_is_selected_by_the_name_a_reader_uses():
    paths = [ROOT / "book" / "distances" / "one.ipynb", ROOT / "book" / "two.ipynb"]
    assert selected(paths, None) == paths
    for name in ("distances/one", "book/distances/one", "distances/one.ipynb"):
        assert selected(paths, name) == paths[:1]
    with pytest.raises(ValueError, match=r"no chapter is called 'three': .* distances/one, two\."):
        selected(paths, "three")


def test_execution_keeps_what_worked_and_runs_what_failed_again(tmp_path, capsys):
    good, bad = tmp_path / "good.ipynb", tmp_path / "bad.ipynb"
    good.write_text(normalize.text(normalize.normal(book(cell("print(6 * 7)")))))
    bad.write_text(normalize.text(normalize.normal(book(cell("raise ValueError('torn')")))))
    (failure,) = execute([good, bad], tmp_path)
    assert failure.startswith("bad: failed") and failure.endswith("ValueError: torn")
    assert "good: executed in" in capsys.readouterr().out
    (failure,) = execute([good, bad], tmp_path)
    assert failure.endswith("ValueError: torn")
    assert "good: from the cache" in capsys.readouterr().out
