"""Figures of a chapter on its page: numbers to cite them by, and pictures as files.

A cell does not know how many figures stand before its own, so `plots.show` and the living figures
leave the number out, and it is given here, in the order of reading. The picture that a notebook
carries inside becomes a file that the page shows and that a reader can take home: it is there
once, and the page is lighter by a quarter of it.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path

from docutils import nodes

__all__ = ["PICTURES", "number", "take_out"]

# Where the builder keeps pictures, below the folder of the pages.
PICTURES = "_images"

FIGURE = re.compile(r'<figure class="ng-figure">(?P<head>.*?)<figcaption>', re.DOTALL)
NUMBERED = re.compile(
    r'<figure class="ng-figure" id="figure-(?P<number>\d+)">.*?</figure>', re.DOTALL
)
PICTURE = re.compile(r'src="data:image/png;base64,(?P<data>[^"]+)"')


def number(document: nodes.document) -> list[str]:
    """Give the figures of a page their numbers; the anchors under which they can be linked.

    >>> page = nodes.container()
    >>> page += nodes.raw("", '<figure class="ng-figure"><img><figcaption>It', format="html")
    >>> number(page), page.astext()[:40]
    (['figure-1'], '<figure class="ng-figure" id="figure-1">')
    """
    anchors: list[str] = []

    def named(match: re.Match) -> str:
        count = len(anchors) + 1
        anchors.append(f"figure-{count}")
        return (
            f'<figure class="ng-figure" id="figure-{count}">{match["head"]}<figcaption>'
            f'<a class="ng-number" href="#figure-{count}">Figure {count}.</a> '
        )

    for node in document.findall(nodes.raw):
        text = FIGURE.sub(named, node.astext())
        if text != node.astext():
            node.rawsource, node.children = text, [nodes.Text(text)]
    return anchors


def take_out(body: str, page: str, outdir: Path, address: Callable[[str], str]) -> str:
    """Write the pictures of a page's numbered figures into files, shown and offered by the page.

    Args:
        body: The HTML of the page.
        page: Its name, as `book/distances/metric_structure`.
        outdir: The folder of all pages.
        address: From a file below it to its address on this page.

    Returns:
        The HTML with the files in place of the pictures and a link in each caption.
    """
    name = page.removeprefix("book/").replace("/", "-")

    def outside(match: re.Match) -> str:
        figure, picture = match[0], PICTURE.search(match[0])
        if picture is None:
            return figure
        file = f"{PICTURES}/{name}-figure-{match['number']}.png"
        _write(outdir / file, base64.b64decode(picture["data"]))
        figure = figure.replace(picture[0], f'src="{address(file)}"')
        link = (
            f' <a class="ng-png" href="{address(file)}" download '
            f'aria-label="PNG of figure {match["number"]}">PNG</a></figcaption>'
        )
        return figure.replace("</figcaption>", link)

    return NUMBERED.sub(outside, body)


def _write(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
