"""Docstrings on the API page: Google style, read by Sphinx's napoleon, with signs that stay signs.

A docstring is plain text that is read in an editor, too: single backticks are code, and a formula
such as |v| or a weight w_ is no markup. Sphinx takes bars, asterisks and underscores for some, so
they are escaped here before napoleon sees them; code, doctests and indented blocks after `::`
stay as they are.
"""

import re

__all__ = ["escaped"]

# Code in backticks; a doctest up to an empty line; what is indented after a line that ends in ::.
KEPT = re.compile(
    r"`+[^`]+`+|^ *>>>(?:.+\n?)+"
    r"|::\n\n(?P<indent> +).*\n?(?:(?:(?P=indent).*| *)(?:\n|\Z))*",
    re.MULTILINE,
)


def escaped(lines: list[str]) -> list[str]:
    """The docstring in which only backticks, doctests, literal blocks, lists are markup.

    Args:
        lines: A docstring as autodoc hands it over, without its indentation.

    Returns:
        As many lines of reStructuredText with sections in Google style.

    >>> escaped(["The norm |v| of weights w_, in units of `|x|`."])
    ['The norm \\\\|v\\\\| of weights w\\\\_, in units of `|x|`.']
    """
    text, shown, end = "\n".join(lines), [], 0
    for kept in KEPT.finditer(text):
        shown += [_escape(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*shown, _escape(text[end:])]).split("\n")


def _escape(text: str) -> str:
    # An underscore within a word is no markup, and a name of a parameter stays what it is.
    return re.sub(r"[\\*|]|_(?!\w)", r"\\\g<0>", text)
