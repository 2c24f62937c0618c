"""What a page tells those who pass it on: its one address, a description, a picture.

And what a site has beside its pages: a map of them, and a page for addresses that lead nowhere.
"""

import html
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import address  # noqa: E402

__all__ = ["at_home", "described", "not_found", "site_map", "tell", "write_beside"]

BOOK = "An executable book about what a classifier does to distance."
PICTURE = ROOT / ".github" / "book.png"
SEEN = (
    "A page of the book: contents, the question of a section, and a figure with five networks in "
    "five colours, markers and line styles."
)
LONGEST = 200  # characters; what search engines and messengers show


def at_home(app: Sphinx, config: Config) -> None:
    """Pages are read at the address that follows from the repository's."""
    if not config.html_baseurl:
        config.html_baseurl = f"{address.online()}/"


def described(doctree: nodes.document | None) -> str:
    """The first paragraph of a page, cut at a word; the book's own sentence if there is none."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = " ".join(paragraph.astext().split())
        if len(text) > LONGEST:
            text = f"{text[: LONGEST - 1].rpartition(' ')[0].rstrip(',;:')}…"
        if text:
            return text
    return BOOK


def tell(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Add to a page's head what search engines and messengers read."""
    home, plain = app.config.html_baseurl, re.sub(r"<[^>]*>", "", context.get("title", ""))
    said = described(doctree)
    told = {
        "og:title": html.unescape(plain) or app.config.project,
        "og:description": said,
        "og:type": "article" if page != app.config.root_doc else "website",
        "og:url": home + app.builder.get_target_uri(page),
        "og:site_name": app.config.html_title or app.config.project,
        "og:image": f"{home}_static/{PICTURE.name}",
        "og:image:alt": SEEN,
    }
    lines = [
        _tag("name", "description", said),
        _tag("name", "twitter:card", "summary_large_image"),
    ]
    lines += [_tag("property", name, text) for name, text in told.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def _tag(kind: str, name: str, text: str) -> str:
    return f'<meta {kind}="{name}" content="{html.escape(text)}" />'


def site_map(home: str, uris: Iterable[str]) -> str:
    """The addresses of all pages, in the form that sitemaps.org describes."""
    places = "".join(f"  <url><loc>{html.escape(home + uri)}</loc></url>\n" for uri in uris)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n'
    )


def not_found(home: str, book: str, pages: Iterable[tuple[str, str]]) -> str:
    """A page without any file beside it, since it is shown at addresses of any depth."""
    items = "".join(
        f'<li><a href="{html.escape(home + uri)}">{html.escape(title)}</a></li>\n'
        for uri, title in pages
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="robots" content="noindex" />
<title>No such page — {html.escape(book)}</title>
<link rel="icon" href="data:," />
<style>
:root {{ background: #fff; color: #222 }}
a {{ color: #1f4e79 }}
body {{ margin: 2rem auto; max-width: 40rem; padding: 0 1rem; font: 1.1rem/1.5 sans-serif }}
</style></head>
<body><main>
<h1>No such page</h1>
<p>No page of <em>{html.escape(book)}</em> stands at this address. These are its pages:</p>
<ul>
{items}</ul>
</main></body></html>
"""


def write_beside(app: Sphinx, pages: list[str]) -> None:
    """Write the map, the page for lost readers and the picture into the finished site."""
    home, out = app.config.html_baseurl, Path(app.outdir)
    uris = {page: app.builder.get_target_uri(page) for page in pages}
    (out / "sitemap.xml").write_text(site_map(home, uris.values()), encoding="utf-8")
    named = [(uris[page], app.env.titles[page].astext()) for page in pages]
    text = not_found(home, app.config.html_title or app.config.project, named)
    (out / "404.html").write_text(text, encoding="utf-8")
    (out / "_static").mkdir(exist_ok=True)
    shutil.copyfile(PICTURE, out / "_static" / PICTURE.name)
