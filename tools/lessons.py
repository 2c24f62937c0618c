"""Write the chapters as lessons: for students without solutions, for teachers with them.

    python tools/lessons.py student    into _build/student: stubs and hints, no answer
    python tools/lessons.py teacher    into _build/teacher: each stub solved, each answer open

Both kinds run from the first cell to the last. The chapters in the book have stub, check, hint and
folded solution in one notebook; what stands where is read here alone, for the tests as well.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

import yaml

import address
import normalize
from chapters import ROOT, chapters

__all__ = [
    "KINDS",
    "Task",
    "code",
    "exercises",
    "folded",
    "prose",
    "source",
    "student",
    "teacher",
    "write",
]

EXERCISE = re.compile(r"^(#+ +|\*\*)Exercise\b.*$", re.MULTILINE)
FOLD = re.compile(r"\s*<details[^>]*>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```\s*", re.MULTILINE | re.DOTALL)
DISCUSS = re.compile(r"^> *\*\*Discuss\b.*$", re.MULTILINE)
SAID = "what students usually say"
# What stands before a target, and the target, without its anchor: an address of the web is none.
LINK = re.compile(r"(\]\(<?|\b(?:href|src)=[\"'])(?!\w+:)([^)\s>\"'#]+)")


# ---- what stands in a chapter ----------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """An exercise of a chapter, as it stands in its cells.

    Attributes:
        title: Its heading.
        stub: The code from the heading to the check, that cell included, by the cell's position.
        check: The calls `exercises.NAME(...)` alone, None if missing.
        solution: The Python in the folded solution, None if missing.
    """

    title: str
    stub: dict[int, str]
    check: str | None
    solution: str | None


def source(cell: dict) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def code(notebook: dict) -> list[tuple[int, dict]]:
    """Position and cell of each code cell."""
    return [(i, c) for i, c in enumerate(notebook["cells"]) if c["cell_type"] == "code"]


def prose(notebook: dict) -> list[tuple[int, str]]:
    """Position and text of each Markdown cell."""
    cells = enumerate(notebook["cells"])
    return [(i, source(c)) for i, c in cells if c["cell_type"] == "markdown"]


def exercises(notebook: dict) -> list[Task]:
    """Stub, check and solution of each exercise, from its heading to the next one."""
    cells, found = notebook["cells"], []
    headings = {i: EXERCISE.search(text) for i, text in prose(notebook)}
    starts = [i for i, heading in headings.items() if heading]
    for start, end in pairwise([*starts, len(cells)]):
        stub, check, solution = {}, None, None
        for i, cell in enumerate(cells[start:end], start):
            text = source(cell)
            if cell["cell_type"] == "markdown" and solution is None:
                solution = folded(text)
            elif cell["cell_type"] == "code" and check is None:
                stub[i] = text
                check = "\n".join(map(ast.unparse, normalize.calls(text, "exercises"))) or None
        found.append(Task(headings[start][0].strip("#* "), stub, check, solution))
    return found


def folded(text: str) -> str | None:
    """The Python blocks of the folded solution in a Markdown cell, joined; None without one."""
    blocks = [
        block
        for fold in FOLD.finditer(text)
        if _is_solution(fold)
        for block in PYTHON.findall(fold[2])
    ]
    return "\n".join(blocks) or None


def _is_solution(fold: re.Match) -> bool:
    return "solution" in fold[1].lower()


def _is_said(fold: re.Match) -> bool:
    return fold[1].strip().lower() == SAID


# ---- the two kinds ---------------------------------------------------------------------------


def student(notebook: dict) -> dict:
    """A chapter without the folds that answer: stubs, checks, hints and questions stand.

    Args:
        notebook: The chapter, as parsed JSON.

    Returns:
        Another notebook, in normal form.

    Raises:
        ValueError: Where a solution or an answer is not found, since it may stand there unfolded.
    """
    return _each_fold(_checked(notebook), _left_out)


def teacher(notebook: dict) -> dict:
    """A chapter with each solution in the place of its stub, and the folds that answer open.

    Args:
        notebook: The chapter, as parsed JSON.

    Returns:
        Another notebook, in normal form.

    Raises:
        ValueError: Where a solution or an answer is not found, or defines nothing of its stub.
    """
    made = _checked(notebook)
    for task in exercises(made):
        at, solved = _solved(task)
        made["cells"][at]["source"] = solved
    return _each_fold(made, _opened)


KINDS = {"student": student, "teacher": teacher}


def _checked(notebook: dict) -> dict:
    """The normal form of a chapter all of whose answers are found."""
    made = normalize.normal(notebook)
    for i, text in prose(made):
        folds = list(FOLD.finditer(text))
        if 4 * len(folds) != len(re.findall(r"</?(?:details|summary)\b", text)):
            raise ValueError(
                f"a fold in cell {i} is not <details><summary>…</summary> … </details> with no "
                "other fold in it, so where it ends cannot be told: write it in this form."
            )
        questions = DISCUSS.findall(text)
        if len(questions) != sum(map(_is_said, folds)):
            raise ValueError(
                f"{len(questions)} questions to discuss ({' '.join(questions) or 'none'}) have "
                f"{sum(map(_is_said, folds))} answers: below each belongs, in the same cell, "
                f"<details><summary>{SAID.capitalize()}</summary> … </details>."
            )
    for task in exercises(made):
        if not task.solution:
            raise ValueError(
                f"the solution of {task.title!r} is not found: below the heading belongs "
                "<details><summary>Solution</summary> … </details> with a block of ```python."
            )
    return made


def _each_fold(made: dict, change: Callable[[re.Match], str]) -> dict:
    """The notebook with every fold changed, without the cells of which nothing is left."""
    for cell in made["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = FOLD.sub(change, cell["source"]).strip()
    made["cells"] = [cell for cell in made["cells"] if cell["source"]]
    return made


def _left_out(fold: re.Match) -> str:
    return "" if _is_solution(fold) or _is_said(fold) else fold[0]


def _opened(fold: re.Match) -> str:
    opened = fold[0].replace("<details>", "<details open>", 1)
    if _is_solution(fold):
        return PYTHON.sub("", opened) if PYTHON.sub("", fold[2]).strip() else ""
    return opened if _is_said(fold) else fold[0]


def _solved(task: Task) -> tuple[int, str]:
    """Position and text of the cell in which the solution stands instead of the stub."""
    try:
        names = set().union(*map(_names, ast.parse(task.solution).body))
    except SyntaxError as error:
        raise ValueError(f"the solution of {task.title!r} is no Python: {error}.") from error
    for at, stub in task.stub.items():
        body = normalize.parsed(stub).body
        if taken := [node for node in body if set() < _names(node) <= names]:
            return at, _replaced(stub, taken, task.solution)
    raise ValueError(
        f"the solution of {task.title!r} defines {', '.join(sorted(names)) or 'nothing'}, and "
        "no stub does: it would stand beside the check, so give both the same name."
    )


def _names(node: ast.stmt) -> set[str]:
    """What a statement at the top of a cell defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def _replaced(stub: str, taken: list[ast.stmt], solution: str) -> str:
    """The stub with the solution in the place of the first of the statements, without the rest."""
    lines = stub.splitlines()
    for node in reversed(taken):
        decorators = getattr(node, "decorator_list", ())
        start = min(part.lineno for part in (node, *decorators)) - 1
        end = node.end_lineno
        # A comment at the end of a function is no part of its last statement.
        while end < len(lines) and lines[end][:1].isspace():
            end += 1
        lines[start:end] = solution.rstrip().splitlines() if node is taken[0] else []
    return "\n".join(lines)


# ---- outside the book ------------------------------------------------------------------------


def _elsewhere(notebook: dict, path: Path, root: Path, among: list[Path]) -> dict:
    """A lesson whose links hold in its folder, and whose head says where it comes from.

    The chapters lie beside each other as in the book. A page that is none is read online, another
    file in the repository. Links to this very notebook would open the chapter as it is, answers
    folded.
    """
    itself = f"/{path.relative_to(root).as_posix()})"
    line = re.compile(rf"^(.*{re.escape(itself)}.*)(\n*)", re.MULTILINE)
    here = f"https://github.com/{address.slug(root)}"

    def held(link: re.Match) -> str:
        to = (path.parent / unquote(link[2])).resolve()
        if to in among or not to.is_file() or not to.is_relative_to(root):
            return link[0]
        inside = quote(to.relative_to(root).as_posix())
        if to.suffix == ".md":
            return f"{link[1]}{address.online(root)}/{inside.removesuffix('.md')}.html"
        return f"{link[1]}{here}/raw/main/{inside}"

    def others(links: re.Match) -> str:
        left = " · ".join(link for link in links[1].split(" · ") if itself not in link)
        return left and left + links[2]

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = line.sub(others, LINK.sub(held, cell["source"])).rstrip()
    said = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    head = next(cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    head["source"] += (
        f"\n\nA chapter of [{said['title']}]({here}), © {said['copyright']}. Outside Colab it "
        f'needs the package: `pip install "git+{here}"`.'
    )
    return notebook


def write(kind: str, root: Path = ROOT) -> Path:
    """Write all chapters of `_toc.yml` as lessons of one kind, in place of those written before.

    Args:
        kind: One of `KINDS`.
        root: The checkout.

    Returns:
        The folder, `_build/KIND`, with one notebook a chapter in the folders of the parts.

    Raises:
        ValueError: Where a chapter's answers are not found. The sentence names chapter and
            exercise, and what was written before stays.
    """
    root = root.resolve()
    folder, among = root / "_build" / kind, chapters(root)
    folder.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{kind}-") as private:
        new = Path(private) / "new"
        new.mkdir()
        for path in among:
            name = path.relative_to(root / "book")
            try:
                made = KINDS[kind](json.loads(path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise ValueError(f"{name.with_suffix('').as_posix()}: {error}") from error
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            text = normalize.text(_elsewhere(made, path, root, among))
            (new / name).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rename(Path(private) / "old")
        new.rename(folder)
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    kind = parser.parse_args(arguments).kind
    try:
        folder = write(kind)
    except ValueError as error:
        print(error)
        return 1
    how = {"student": "without", "teacher": "with"}[kind]
    print(f"The chapters {how} solutions are in {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
