"""Docstrings as the API page shows them: plain text and shapes, not markup.

The package's docstrings are written to be read in an editor. Here their paragraphs are protected
from being taken for markup (`n_` would be a link, `|v|` a substitution), words in backticks become
code, indented blocks stay as they are laid out, and doctests are left alone. Annotations such as
`Float[Tensor, "n d"]` lose the module names around them.
"""

import re

__all__ = ["plain", "short"]

# A dotted path, with the sign for "show the last part only" that Sphinx may put in front.
PATH = re.compile(r"~?\b([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)")


def plain(lines: list[str]) -> list[str]:
    """The docstring as reStructuredText that renders as it reads."""
    blocks, block = [], []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            blocks.append(block)
            block = []
    shown = []
    for block in blocks:
        shown += [*_block(block), ""]
    return shown


def short(signature: str | None) -> str | None:
    """A signature or annotation without the modules its types come from.

    Types of the package keep their room, where the page has them, so that they become links.

    >>> short("(x: ~jaxtyping.Float[Tensor, 'n d'], f: ~torch.nn.modules.module.Module)")
    "(x: Float[Tensor, 'n d'], f: Module)"
    >>> short("~companion.datasets.dataset.Dataset")
    '~companion.datasets.Dataset'
    """
    return None if signature is None else PATH.sub(_type, signature)


def _type(path: re.Match) -> str:
    parts = path.group(1).split(".")
    if parts[0] == "companion" and len(parts) > 2 and not parts[-1].startswith("_"):
        return f"~companion.{parts[1]}.{parts[-1]}"
    # Lower case at the end: a value such as torch.float64, not a type.
    return parts[-1] if parts[-1].lstrip("_")[:1].isupper() else path.group(1)


def _block(lines: list[str]) -> list[str]:
    indent = len(lines[0]) - len(lines[0].lstrip())
    if lines[0].lstrip().startswith(">>>"):
        return [line[indent:] for line in lines]
    if indent or _laid_out(lines):
        return [".. code-block:: text", "", *("    " + line[indent:] for line in lines)]
    if lines[0].startswith(("- ", "* ")):
        return ["- " + _text(item) for item in _items(lines)]
    return [_text(" ".join(line.strip() for line in lines))]


def _laid_out(lines: list[str]) -> bool:
    """Columns made with blanks, or a table drawn with bars: joining the lines would spoil them."""
    return len(lines) > 1 and any("  " in line.strip() or line.startswith("|") for line in lines)


def _items(lines: list[str]) -> list[str]:
    items = []
    for line in lines:
        if line.startswith(("- ", "* ")):
            items.append(line[2:].strip())
        else:
            items[-1] += " " + line.strip()
    return items


def _text(text: str) -> str:
    # A docstring inherited from another library may have roles; what they name is code here.
    text = re.sub(r":[a-z]+(?::[a-z]+)?:(?=`)", "", text)
    parts = re.split(r"(`+[^`]+`+|\$[^$]+\$)", text)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if len(part) > 2 and part[0] == part[-1] == "`":
        # The blank escapes let code stand next to a letter or a full stop.
        return f"\\ ``{part.strip('`').strip()}``\\ "
    if len(part) > 2 and part[0] == part[-1] == "$":
        return f"\\ :math:`{part[1:-1].strip()}`\\ "
    return re.sub(r"([\\*_|`])", r"\\\1", part)
