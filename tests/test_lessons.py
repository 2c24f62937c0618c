"""Chapters as lessons: nothing answers in the student's, each check praises the teacher's."""

import ast
import json
import symtable
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import lessons
import normalize
from chapters import chapters
from companion.book.exercises.answers import Answer
from lessons import code, exercises, prose, source

each_chapter = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def book(*cells: str) -> dict:
    """A notebook; a text that begins with `#:` is a code cell."""
    return new_notebook(
        cells=[
            new_code_cell(text.removeprefix("#:\n"))
            if text.startswith("#:")
            else new_markdown_cell(text)
            for text in cells
        ]
    )


def sources(notebook: dict) -> list[str]:
    return [source(cell) for cell in notebook["cells"]]


HINT = "<details><summary>Hint</summary>\n\nTwice what?\n\n</details>"
SOLUTION = """<details><summary>Solution</summary>

```python
def half(x):
    return x / 2
```

</details>"""
SAID = "<details><summary>What students usually say</summary>\n\nThat it is one.\n\n</details>"
STUB = "#:\nfour = 4\n\n\ndef half(x):\n    ...\n\n\nexercises.half(half)"
SOLVED = "four = 4\n\n\ndef half(x):\n    return x / 2\n\n\nexercises.half(half)"
HEAD = "### Exercise 1. A half"


# ---- the form of a solution ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "handed_out", "solved"),
    [
        (
            (HEAD, STUB, f"{HINT}\n\n{SOLUTION}"),
            [HEAD, STUB[3:], HINT],
            [HEAD, SOLVED, HINT],
        ),
        (
            (f"{HEAD}\n\n{SOLUTION}\n\nAnd more.", STUB),
            [f"{HEAD}\n\nAnd more.", STUB[3:]],
            [f"{HEAD}\n\nAnd more.", SOLVED],
        ),
        (
            ("**Exercise.** Halve.", "#:\nhalf = None", SOLUTION, "#:\nexercises.half(half)"),
            ["**Exercise.** Halve.", "half = None", "exercises.half(half)"],
            ["**Exercise.** Halve.", "def half(x):\n    return x / 2", "exercises.half(half)"],
        ),
    ],
)
def test_a_solution_is_left_out_or_stands_in_the_place_of_its_stub(cells, handed_out, solved):
    assert sources(lessons.student(book(*cells))) == handed_out
    assert sources(lessons.teacher(book(*cells))) == solved


def test_what_a_solution_says_beside_its_code_stands_open_for_the_teacher():
    with_reason = SOLUTION.replace("\n</details>", "\nTwice a half is one.\n\n</details>")
    chapter = book(
        HEAD, STUB, with_reason, "<details><summary>Proof</summary>\n\nQ.\n\n</details>"
    )
    *_, said, proof = sources(lessons.teacher(chapter))
    assert said == (
        "<details open><summary>Solution</summary>\n\nTwice a half is one.\n\n</details>"
    )
    assert proof == sources(chapter)[-1]
    assert sources(lessons.student(chapter)) == [HEAD, STUB[3:], proof]


def test_a_question_to_discuss_stays_and_its_answer_goes_to_the_teacher():
    question = "> **Discuss.** What is half of two?\n\n"
    chapter = book(f"{question}{SAID}\n\n{question}{SAID.replace('one', '1')}")
    assert sources(lessons.student(chapter)) == [f"{question}{question}".strip()]
    opened = sources(chapter)[0].replace("<details>", "<details open>")
    assert sources(lessons.teacher(chapter)) == [opened]


def test_only_what_the_solution_defines_is_taken_out_of_the_stub():
    stub = (
        "import math  # stays\n\n"
        "@staticmethod\n# and this\ndef half(x):\n    ...\n    # your turn\n\n\n"
        "scale = 3\nk = 3\nscale, other = 1, 2\nexercises.half(half)"
    )
    solution = SOLUTION.replace("return", "return scale *").replace(
        "```python\n", "```python\nscale = [k for k in (1,)][0]\n"
    )
    (_, solved) = sources(lessons.teacher(book(HEAD, f"#:\n{stub}", solution)))
    assert solved == (
        "import math  # stays\n\n"
        "scale = [k for k in (1,)][0]\ndef half(x):\n    return scale * x / 2\n\n\n"
        "k = 3\nscale, other = 1, 2\nexercises.half(half)"
    )


def test_both_kinds_are_in_normal_form_and_leave_the_chapter_as_it_was():
    chapter = book("# Title", HEAD, STUB, SOLUTION)
    before = json.dumps(chapter)
    for make in lessons.KINDS.values():
        made = make(chapter)
        nbformat.validate(nbformat.from_dict(made))
        assert normalize.normal(made) == made
    assert json.dumps(chapter) == before


@pytest.mark.parametrize("make", lessons.KINDS.values(), ids=lessons.KINDS)
@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((HEAD, STUB, HINT), r"the solution of 'Exercise 1\. A half' is not found: below the"),
        ((HEAD, STUB, "**Solution.** x / 2"), r"the solution of 'Exercise 1\. A half' is not"),
        ((HEAD, STUB, SOLUTION.replace("python", "")), "is not found: .* block of ```python"),
        (("# A", HEAD, STUB, SOLUTION[:-10]), "a fold in cell 3 is not <details><summary>…"),
        ((HEAD, STUB, f"{HINT[:-10]}\n\n{SOLUTION}"), "a fold in cell 2 is not .* write it in"),
        ((f"{HINT[:-10]}\n\n{SAID}\n\n</details>",), "a fold in cell 0 is not"),
        (("> **Discuss.** Why?",), r"1 questions to discuss \(> \*\*Discuss\.\*\* Why\?\) have 0"),
        ((SAID,), r"0 questions to discuss \(none\) have 1 answers: .* in the same cell, <detai"),
        (("> **Discuss.** Why?", SAID), "below each belongs, in the same cell"),
    ],
)
def test_an_answer_that_is_not_found_is_named(make, cells, said):
    with pytest.raises(ValueError, match=said):
        make(book(*cells))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("def half", "def whole"), r"of 'Exercise 1\. A half' defines whole, and no stub does: "),
        (("def half(x):\n    return x / 2", "x / 2"), "defines nothing, and no stub does: it wou"),
        (("return x / 2", "return x /"), r"of 'Exercise 1\. A half' is no Python: invalid synt"),
    ],
)
def test_a_solution_that_has_no_place_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        lessons.teacher(book(HEAD, STUB, SOLUTION.replace(*change)))


# ---- every chapter ---------------------------------------------------------------------------


def lines(notebook: dict) -> Counter:
    texts = "\n".join(sources(notebook)).splitlines()
    return Counter(line for line in texts if line.strip())


@each_chapter
def test_a_student_lacks_the_answers_of_a_chapter_and_nothing_else(path):
    chapter = read(path)
    made = lessons.student(chapter)
    # Found here in another way than there: split at what begins and what ends a fold.
    folds = [part.partition("</details>")[0] for part in "\n".join(sources(chapter)).split("<de")]
    answers = [f for f in folds if "Solution</summary>" in f or "What students usually" in f]
    assert len(answers) >= len(exercises(chapter)) >= 1
    gone = Counter(line for fold in answers for line in f"<de{fold}</details>".splitlines())
    assert lines(chapter) - lines(made) == +Counter({k: n for k, n in gone.items() if k.strip()})
    assert not lines(made) - lines(chapter)
    assert [source(c) for _, c in code(made)] == [source(c) for _, c in code(chapter)]


@each_chapter
def test_a_teacher_has_each_solution_in_the_place_of_its_stub(path):
    chapter, tasks = read(path), exercises(read(path))
    made = lessons.teacher(chapter)
    assert len(code(made)) == len(code(chapter))
    changed = [
        (source(before), source(after))
        for (_, before), (_, after) in zip(code(chapter), code(made), strict=True)
        if source(before) != source(after)
    ]
    assert len(changed) == len(tasks)
    for task, (before, after) in zip(tasks, changed, strict=True):
        assert before in task.stub.values() and task.solution.strip() in after
        called = [
            [ast.unparse(c) for c in normalize.calls(t, "exercises")] for t in (before, after)
        ]
        assert called[0] == called[1]
    for _, text in prose(made):
        assert "```python" not in text.partition("Solution</summary>")[2]


def shown(cells: list[str]) -> list[object]:
    """What the cells show, one after another: the values of their last lines."""
    found, names = [], {"__name__": "__main__"}
    for text in cells:
        *first, last = normalize.parsed(text).body
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(first, []), "cell", "exec"), names)
            found.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        else:
            exec(compile(ast.Module([*first, last], []), "cell", "exec"), names)
    return found


@each_chapter
@pytest.mark.parametrize(("kind", "right"), [("student", None), ("teacher", True)])
def test_each_check_waits_for_the_student_and_praises_the_teacher(path, kind, right, monkeypatch):
    monkeypatch.setenv("COMPANION_DATASET", "digits")
    chapter, tasks = read(path), exercises(read(path))
    stubs = {i for task in tasks for i in task.stub}
    asked = [k for k, (i, _) in enumerate(code(chapter)) if k == 0 or i in stubs]
    cells = [source(cell) for _, cell in code(lessons.KINDS[kind](chapter))]
    with plt.rc_context():
        said = [a for a in shown([cells[k] for k in asked]) if isinstance(a, Answer)]
    assert [answer.right for answer in said] == [right] * len(tasks), said


def used(table: symtable.SymbolTable) -> set[str]:
    """The names that a piece of code takes from outside."""
    own = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(used, table.get_children()))


def bound(table: symtable.SymbolTable) -> set[str]:
    """The names that a cell defines."""
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


@each_chapter
def test_no_cell_rebinds_what_a_solution_uses(path):
    """So a solution that runs after the first cell alone also runs at the end of its chapter."""
    chapter, tasks = read(path), exercises(read(path))
    stubs = {i for task in tasks for i in task.stub}
    _, *cells = [source(cell) for i, cell in code(chapter) if i not in stubs]
    texts = [f"{task.solution}\n{task.check}" for task in tasks]
    needed = set().union(*(used(symtable.symtable(t, "a", "exec")) for t in texts))
    assert {"exercises", "torch"} & needed
    assert not needed & set().union(*(bound(symtable.symtable(t, "a", "exec")) for t in cells))


# ---- the folders -----------------------------------------------------------------------------

# In pieces, so that the examples here are not taken for addresses of the book.
HOST, COLAB = "https://github.com", "https://colab.research.google.com/github"


@pytest.fixture
def checkout(tmp_path):
    """A book of two chapters, one of them in a part, a page that is none, and a picture."""
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nchapters:\n- {file: book/a, sections: [{file: book/part/b}]}\n"
    )
    (tmp_path / "_config.yml").write_text('title: A Book\ncopyright: "us: text CC, code MIT"\n')
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\n[project.urls]\nRepository = "{HOST}/Me/Fork"\n'
    )
    for name in ("part", "_static"):
        (tmp_path / "book" / name).mkdir(parents=True)
    for name in ("claims.md", "_static/a dot.png", "part/draft.ipynb"):
        (tmp_path / "book" / name).touch()
    (tmp_path / "book" / "a.ipynb").write_text(normalize.text(book("# A", HEAD, STUB, SOLUTION)))
    (tmp_path / "book" / "part" / "b.ipynb").write_text(normalize.text(book(LINKS, "## End")))
    return tmp_path


ITSELF = "book/part/b.ipynb"
LINKS = "\n\n".join(
    [
        "# B",
        f"[Open in Colab]({COLAB}/Me/Fork/{ITSELF}) · [Download]({HOST}/Me/Fork/raw/{ITSELF})",
        f"[A](../a.ipynb), [its end](../a.ipynb#end), [this end](#end) · [B]({HOST}/{ITSELF})",
        '[Claims](../claims.md#a), <a href="../claims.md">again</a>',
        "![a dot](../_static/a%20dot.png), [draft](draft.ipynb)",
        "[none](../none.md), [out](../../../out.md), [web](https://a.org/claims.md)",
        f"![a grey pixel](data:image/png;base64,{'A' * 5000})",
    ]
)


@pytest.mark.parametrize("kind", lessons.KINDS)
def test_folders_mirror_the_parts_and_links_hold_there(kind, checkout):
    (checkout.parent / "out.md").touch()
    folder = lessons.write(kind, checkout)
    assert folder == checkout.resolve() / "_build" / kind
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb")]
    assert sorted(found) == ["a.ipynb", "part/b.ipynb"]
    head, *rest = sources(read(folder / "part" / "b.ipynb"))
    assert rest == ["## End"]
    site, files = "https://me.github.io/Fork/book/claims.html", f"{HOST}/Me/Fork/raw/main/book"
    assert head.split("\n\n") == [
        "# B",
        "[A](../a.ipynb), [its end](../a.ipynb#end), [this end](#end)",
        f'[Claims]({site}#a), <a href="{site}">again</a>',
        f"![a dot]({files}/_static/a%20dot.png), [draft]({files}/part/draft.ipynb)",
        "[none](../none.md), [out](../../../out.md), [web](https://a.org/claims.md)",
        f"![a grey pixel](data:image/png;base64,{'A' * 5000})",
        f"A chapter of [A Book]({HOST}/Me/Fork), © us: text CC, code MIT. Outside Colab it needs "
        f'the package: `pip install "git+{HOST}/Me/Fork"`.',
    ]
    has = "x / 2" in (folder / "a.ipynb").read_text()
    assert has is (kind == "teacher")


def test_lessons_replace_what_was_written_before(checkout):
    folder = lessons.write("student", checkout)
    (folder / "part" / "old.ipynb").touch()
    toc = checkout / "_toc.yml"
    toc.write_text("root: book/index\nchapters:\n- file: book/part/b\n")
    assert lessons.write("student", checkout) == folder
    assert [path.name for path in folder.rglob("*.ipynb")] == ["b.ipynb"]
    assert [path.name for path in folder.parent.iterdir()] == ["student"]


@pytest.mark.parametrize("kind", lessons.KINDS)
def test_a_missing_solution_is_told_with_its_chapter_and_nothing_is_replaced(
    kind, checkout, capsys, monkeypatch
):
    monkeypatch.setattr(lessons.write, "__defaults__", (checkout,))
    assert lessons.main([kind]) == 0
    folder = checkout / "_build" / kind
    how = {"student": "without", "teacher": "with"}[kind]
    assert capsys.readouterr().out == f"The chapters {how} solutions are in {folder.resolve()}.\n"
    before = {path: path.read_text() for path in folder.rglob("*.ipynb")}
    text = normalize.text(book(LINKS, HEAD, STUB, HINT))
    (checkout / "book" / "part" / "b.ipynb").write_text(text)
    assert lessons.main([kind]) == 1
    said = capsys.readouterr().out
    assert said.startswith("part/b: the solution of 'Exercise 1. A half' is not found: below")
    assert {path: path.read_text() for path in folder.rglob("*.ipynb")} == before
    assert [path.name for path in folder.parent.iterdir()] == [kind]


def test_there_are_two_kinds(capsys):
    with pytest.raises(SystemExit):
        lessons.main(["parent"])
    assert "invalid choice: 'parent'" in capsys.readouterr().err
