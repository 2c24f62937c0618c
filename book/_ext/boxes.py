"""Boxes: a block quote that begins with one bold word becomes a styled box in the book.

Chapters are read in places that know no directives, so `> **Trap.** ...` is all they use: a plain
quote there, a box with a title here.
"""

import re

from docutils import nodes

__all__ = ["KINDS", "frame"]

# The word a quote begins with, and the kind of box whose colour and sign it gets.
KINDS = {
    "Predict": "predict",
    "Keep": "keep",
    "Trap": "trap",
    "Warning": "trap",
    "Caution": "trap",
    "Careful": "trap",
    "Aside": "aside",
    "Note": "aside",
    "Hint": "keep",
    "Tip": "keep",
}


def frame(document: nodes.document) -> int:
    """Turn each block quote of the page that begins with one bold word into a box; how many.

    A word that `KINDS` does not list makes a box of the kind `aside`. A quote that begins with
    anything else, several bold words included, stays a quotation.
    """
    quotes = [(quote, _title(quote)) for quote in document.findall(nodes.block_quote)]
    boxes = [(quote, title) for quote, title in quotes if title]
    for quote, title in boxes:
        kind = KINDS.get(title, "aside")
        box = nodes.admonition(classes=["ng-box", f"ng-{kind}"])
        box += nodes.title(title, title)
        box += quote.children
        quote.replace_self(box)
    return len(boxes)


def _title(quote: nodes.block_quote) -> str:
    """The bold word, taken out of the quote; empty, and the quote untouched, if there is none."""
    paragraph = next(iter(quote.children), None)
    if not isinstance(paragraph, nodes.paragraph):
        return ""
    # The Markdown parser puts an empty text in front of the bold word.
    first = next((child for child in paragraph.children if child.astext()), None)
    if not isinstance(first, nodes.strong):
        return ""
    word = re.fullmatch(r"(\w+)[.:]?", first.astext().strip())
    if word is None:
        return ""
    paragraph.remove(first)
    rest = next((child for child in paragraph.children if child.astext()), None)
    if rest is None:
        quote.remove(paragraph)
    elif isinstance(rest, nodes.Text):
        paragraph.replace(rest, nodes.Text(rest.astext().lstrip(" .:")))
    return word.group(1)
