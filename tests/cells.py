"""What a chapter's cells define, cut out of the notebook so that it is tried where it is known."""

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cut(chapter: str, names: list[str], given: dict) -> dict:
    """Run the functions and constants of these names from a chapter's cells, and no other line.

    Args:
        chapter: As in "distances/rulers".
        names: What is cut out, of whatever cell it stands in.
        given: What those lines need that is not cut out; the sizes of a run among it.

    Returns:
        All of it by name.
    """
    path = ROOT / "book" / f"{chapter}.ipynb"
    notebook, defined, found = json.loads(path.read_text(encoding="utf-8")), dict(given), set()
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = re.sub(r"^\s*%.*$", "    pass", "".join(cell["source"]), flags=re.MULTILINE)
        for node in ast.parse(source).body:
            called = {getattr(node, "name", None)} | {
                target.id
                for target in getattr(node, "targets", ())
                if isinstance(target, ast.Name)
            }
            if called & set(names) - found:
                found |= called & set(names)
                exec(compile(ast.Module([node], []), f"{chapter}: {cell['id']}", "exec"), defined)
    assert found == set(names), f"{chapter} no longer defines {set(names) - found}"
    return defined
