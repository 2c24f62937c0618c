"""What a cell prints by the way is meant for who runs it, and does not show in the page.

Told by the kind of the output, not by its words: all that a chapter wants read it displays, so
what stands in the stream of stdout is said by the way (the name of the data set); and the cell of
a report card's column, which has the column's name in its metadata, shows a fixed line for the
tests alone. The report card links to that place, so an anchor stays there.
"""

import html

from docutils import nodes

__all__ = ["drop"]


def drop(document: nodes.document) -> int:
    """Take what was said by the way out of a page; how many outputs went.

    A cell whose outputs have all gone has none, not an empty one. What was written to stderr, and
    the traceback of an error, stay where they can be seen.
    """
    gone = 0
    for cell in list(document.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        column = cell["cell_metadata"].get("column")
        for shown in [part for part in cell if part.get("nb_element") == "cell_code_output"]:
            said = [output for output in shown if _by_the_way(output, column)]
            for output in said:
                shown.remove(output)
            gone += len(said)
            if not shown.children:
                cell.remove(shown)
        if column:
            anchor = f'<span id="column-{html.escape(column)}"></span>'
            cell += nodes.raw("", anchor, format="html")
    return gone


def _by_the_way(output: nodes.Element, column: str | None) -> bool:
    printed = {"output", "stream"} <= set(output.get("classes", ()))
    return printed or (column is not None and output.get("nb_element") == "mime_bundle")
