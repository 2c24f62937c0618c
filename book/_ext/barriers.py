"""What the builder writes in a form that a screen reader cannot follow, put into another form.

The parameters of a long signature are the descriptions of a list without terms, and the
bibliography is a list without list items: both are announced as lists that are broken.
"""

import re

__all__ = ["lowered"]

SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
PARAMETERS = {
    "<dl>": '<span class="ng-params">',
    "<dd>": '<span class="ng-param">',
    "</dl>": "</span>",
    "</dd>": "</span>",
}


def lowered(body: str) -> str:
    """The HTML of a page without these two barriers.

    >>> lowered('<dt class="sig py">f(<dl><dd>x</dd></dl>)</dt>')
    '<dt class="sig py">f(<span class="ng-params"><span class="ng-param">x</span></span>)</dt>'
    >>> lowered('<div role="list" class="citation-list">')
    '<div class="citation-list">'
    """
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    return SIGNATURE.sub(lambda match: _spans(match[0]), body)


def _spans(signature: str) -> str:
    for tag, span in PARAMETERS.items():
        signature = signature.replace(tag, span)
    return signature
