"""Bring the notebooks below book/ into normal form, the one in which they are committed.

    python tools/normalize.py            rewrite what is not in normal form
    python tools/normalize.py --check    only name it; ends with 1 if there is any

Normal form: format 4.5, stable cell ids, no outputs, no counts, no widget state, no metadata of
editors. The one exception are the cells of claims and report card columns: they carry the fixed
line that they show on every machine, made here from their source and never recorded by a run.
What the book folds (the tag `hide-input`) is folded in JupyterLab, too.
"""

import argparse
import ast
import json
import re
import sys
from pathlib import Path

import nbformat

from chapters import ROOT

__all__ = ["MARKER", "calls", "fixed_line", "normal", "notebooks", "parsed", "text"]

# The test runner compares a cell's outputs only if this line stands in it and its count is set.
MARKER = "# NBVAL_CHECK_OUTPUT"
KINDS = {"check": ("claim", "as recorded"), "column": ("column", "stored")}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The book reads the tag, JupyterLab the metadata `jupyter.source_hidden`.
FOLDED = "hide-input"
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)


def notebooks(root: Path = ROOT) -> list[Path]:
    """All notebooks below book/, those of editors' checkpoints left out."""
    found = (root / "book").rglob("*.ipynb")
    return sorted(path for path in found if not any(p.startswith(".") for p in path.parts[-3:]))


def parsed(source: str) -> ast.Module:
    """The syntax tree of a cell; lines such as %pip count as `pass`."""
    return ast.parse(MAGIC.sub(r"\1pass", source))


def calls(source: str, room: str, name: str | None = None) -> list[ast.Call]:
    """The calls `room.name(...)` in a cell, of any name if none is given."""
    return [
        node
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and getattr(node.func.value, "id", None) == room
        and name in (None, node.func.attr)
    ]


def fixed_line(source: str) -> tuple[str, str] | None:
    """Kind ("claim" or "column") and key of the one claim cell call in a source, None if none.

    ValueError: several calls, a key that is not written out, or a call without the marker (or the
    reverse): the tests would compare nothing, or something that changes from run to run.
    """
    found = [call for call in calls(source, "claims") if call.func.attr in KINDS]
    marked = source.splitlines()[:1] == [MARKER]
    if not found and MARKER not in source.splitlines():
        return None
    if len(found) != 1 or not marked:
        raise ValueError(
            f"a cell has {len(found)} calls of claims.check or claims.column and "
            f"{'begins' if marked else 'does not begin'} with the line {MARKER!r}: the line and "
            f"exactly one call belong together, so split the cell or add the line at its top."
        )
    call = found[0]
    if not call.args or not isinstance(getattr(call.args[0], "value", None), str):
        raise ValueError(
            f"claims.{call.func.attr} has no written-out key: its first argument must be a "
            f"string, since the fixed line is made from the source; write the key there."
        )
    return KINDS[call.func.attr][0], call.args[0].value


def normal(notebook: dict) -> dict:
    """The normal form of a notebook, given and returned as parsed JSON.

    Ids that exist are kept; a missing, invalid or repeated one is made from the cell's position.
    """
    cells = [_cell(cell) for cell in notebook["cells"]]
    _set_ids(cells)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def text(notebook: dict) -> str:
    """The file's content: sorted keys, indent 1, one line per line of source."""
    return nbformat.writes(nbformat.from_dict(notebook)) + "\n"


def _cell(cell: dict) -> dict:
    source = "".join(cell["source"]).rstrip()
    made = {"cell_type": cell["cell_type"], "metadata": {}, "source": source}
    if "id" in cell:
        made["id"] = cell["id"]
    if cell.get("attachments"):
        made["attachments"] = cell["attachments"]
    if tags := cell.get("metadata", {}).get("tags"):
        made["metadata"]["tags"] = list(dict.fromkeys(tags))
    if cell["cell_type"] == "code":
        if FOLDED in (tags or ()):
            made["metadata"]["jupyter"] = {"source_hidden": True}
        made |= {"execution_count": None, "outputs": []}
        if fixed := fixed_line(source):
            kind, key = fixed
            made["metadata"][kind] = key
            made |= {"execution_count": 1, "outputs": [_output(kind, key)]}
    return made


def _output(kind: str, key: str) -> dict:
    ending = dict(KINDS.values())[kind]
    line = f"{kind} {key}: {ending}"
    data = {"text/html": f'<p id="{kind}-{key}">{line}</p>', "text/plain": line}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _set_ids(cells: list[dict]) -> None:
    seen = {cell.get("id") for cell in cells}
    used = set()
    for position, cell in enumerate(cells):
        known = cell.get("id")
        if not known or known in used or not CELL_ID.fullmatch(known):
            known = f"cell-{position:03}"
            while known in seen | used:
                known += "a"
        cell["id"] = known
        used.add(known)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="name them, change nothing")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: all in book/)")
    options = parser.parse_args(arguments)
    found = 0
    for path in options.paths or notebooks():
        before = path.read_text(encoding="utf-8")
        try:
            after = text(normal(json.loads(before)))
        except ValueError as error:
            print(f"{path}: {error}")
            return 1
        if after != before:
            found += 1
            print(f"{path}: {'not in normal form' if options.check else 'normalized'}")
            if not options.check:
                path.write_text(after, encoding="utf-8")
    if options.check and found:
        print("Run make normalize.")
    return 1 if options.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
