"""What a chapter's cells define, cut out of the notebook so that it is tried where it is known.

`cut` takes functions and constants by their names. `claimed` runs the lines that check a claim,
and `made` those that bind a name, each with the lines that they need.
"""

import ast
import dis
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import pytest

from companion.book import claims

ROOT = Path(__file__).resolve().parents[1]


def lines(chapter: str) -> list[tuple[str, ast.stmt]]:
    """The statements of all cells of code, each with the id of its cell.

    Args:
        chapter: As in "distances/rulers".

    Returns:
        They in the order of the chapter, magics left out.
    """
    path = ROOT / "book" / f"{chapter}.ipynb"
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = re.sub(r"^\s*%.*$", "    pass", "".join(cell["source"]), flags=re.MULTILINE)
            found += [(cell["id"], node) for node in ast.parse(source).body]
    return found


def compiled(chapter: str, cell: str, node: ast.stmt) -> CodeType:
    return compile(ast.Module([node], []), f"{chapter}: {cell}", "exec")


def cut(chapter: str, names: list[str], given: dict) -> dict:
    """Run the functions and constants of these names from a chapter's cells, and no other line.

    Args:
        chapter: As in "distances/rulers".
        names: What is cut out, of whatever cell it stands in.
        given: What those lines need that is not cut out; the sizes of a run among it.

    Returns:
        All of it by name.
    """
    defined, found = dict(given), set()
    for cell, node in lines(chapter):
        called = {getattr(node, "name", None)} | {
            target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)
        }
        if called & set(names) - found:
            found |= called & set(names)
            exec(compiled(chapter, cell, node), defined)
    assert found == set(names), f"{chapter} no longer defines {set(names) - found}"
    return defined


class Recorder:
    """Stands in for the room `claims`: what is checked is kept, and nothing is judged or shown."""

    test, over = staticmethod(claims.test), staticmethod(claims.over)

    def __init__(self):
        self.kept = {}

    def check(self, key, *, effect, control=None, rival=None, **texts):
        parts = {"effect": effect, "control": control, "rival": rival}
        self.kept[key] = {word: list(part.values) for word, part in parts.items() if part}


def claimed(chapter: str, given: dict) -> dict[str, dict[str, list[float]]]:
    """What a chapter's claims are judged by: one number per seed, over made-up tables.

    The statements that check a claim are run, and before them, in the order of the chapter, those
    that bind the names they use, and so on; where a name is given, that stops. So no figure is
    drawn and no network trained, but every quotient, logarithm and extreme between the tables and
    a verdict is the chapter's own.

    Args:
        chapter: As in "distances/rulers".
        given: Made-up tables, functions that read them, and the sizes of the run, by name.

    Returns:
        By the claim's key the values of "effect" and, where there are any, of "control" and
        "rival": what is left of the effect over them.
    """
    recorder = Recorder()
    _run(chapter, lambda node, binds: "claims.check(" in ast.unparse(node),
         given | {"claims": recorder})  # fmt: skip
    return recorder.kept


def made(chapter: str, names: list[str], given: dict) -> dict:
    """What a chapter's own lines make of these names, with all the lines that they need.

    Args:
        chapter: As in "distances/rulers".
        names: Each bound by a line outside of functions.
        given: As for `claimed`.

    Returns:
        All that was bound on the way, by name.
    """
    return _run(chapter, lambda node, binds: binds & set(names), given)


def _run(chapter: str, goal: Callable, given: dict) -> dict:
    """Run the statements that are a goal, and before them those that bind what they use."""
    known = lines(chapter)
    uses, binds = zip(*(_names(compiled(chapter, *one), one[1]) for one in known), strict=True)
    goals = [k for k, (_, node) in enumerate(known) if goal(node, binds[k])]
    wanted, queue = set(), [(place, place) for place in goals]
    while queue:
        place, seen_from = queue.pop()
        if (place, seen_from) in wanted:
            continue
        wanted.add((place, seen_from))
        # A function finds what it uses when it is called, another line when it is run.
        late = isinstance(known[place][1], ast.FunctionDef)
        before = seen_from if late else place
        for name in uses[place] - set(given):
            makers = [other for other in range(before) if name in binds[other]]
            queue += [(other, before) for other in makers[-1:]]
    scope = dict(given)
    for place in sorted({place for place, _ in wanted}):
        exec(compiled(chapter, *known[place]), scope)
        scope |= given
    return scope


def _names(code: CodeType, node: ast.stmt) -> tuple[set[str], set[str]]:
    """The global names that a statement uses, in its functions too, and those that it binds."""
    uses, codes = set(), [code]
    binds = {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_NAME"}
    while codes:
        one = codes.pop()
        codes += [part for part in one.co_consts if isinstance(part, CodeType)]
        uses |= {
            step.argval
            for step in dis.get_instructions(one)
            if step.opname in ("LOAD_NAME", "LOAD_GLOBAL")
        }
    for target in getattr(node, "targets", ()):  # table["row"] = ... binds table anew
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            binds.add(target.value.id)
    return uses, binds


def same_claims(found: dict, known: dict) -> None:
    """All claims of a chapter, and no other, are judged by these numbers.

    Args:
        found: As `claimed` gives it.
        known: The same, by hand.
    """
    assert set(found) == set(known)
    for key, parts in known.items():
        assert set(found[key]) == set(parts), key
        for word, values in parts.items():
            # Tables of tensors are in float32.
            assert found[key][word] == pytest.approx(values, abs=1e-6), (key, word)
