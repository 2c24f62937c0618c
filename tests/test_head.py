"""The head of a page, and what a site has beside its pages."""

import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from html.parser import HTMLParser

import pytest
from docutils import nodes

import address
import head
from chapters import ROOT

PAGES = {
    "index": '# Book\n\nIt is *about* "one" thing.\n\n```{toctree}\npart/a\npart/b\n```\n',
    "part/a": f"# A & B\n\n{'many words ' * 40}\n",
    "part/b": "# Only a title\n",
}


class Head(HTMLParser):
    """The tags of a page that tell something about it."""

    def __init__(self, text):
        super().__init__()
        self.meta, self.canonical = {}, []
        self.feed(text)

    def handle_starttag(self, tag, pairs):
        held = dict(pairs)
        if tag == "meta" and (name := held.get("name") or held.get("property")):
            assert name not in self.meta or name == "viewport", f"{name} twice"
            self.meta[name] = held["content"]
        elif tag == "link" and held.get("rel") == "canonical":
            self.canonical.append(held["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Three pages without notebooks, built by the extension; warnings are errors."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "conf.py").write_text(
        f"import sys; sys.path[:0] = {[str(ROOT / 'book/_ext'), str(ROOT)]!r}\n"
        "extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.mathjax', 'bookext']\n"
        "html_title, html_theme, exclude_patterns = 'A Book', 'sphinx_book_theme', ['_build']\n"
    )
    for name, text in PAGES.items():
        (folder / f"{name}.md").parent.mkdir(exist_ok=True)
        (folder / f"{name}.md").write_text(text)
    command = [sys.executable, *"-m sphinx -W -q -b html".split(), folder, folder / "_build"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder / "_build"


def read(site, page):
    return Head((site / f"{page}.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [*PAGES, "search", "genindex"])
def test_every_page_tells_its_one_address_and_what_it_is(page, site):
    told, home = read(site, page), address.online()
    assert told.canonical == [f"{home}/{page}.html"]
    assert told.meta["og:url"] == told.canonical[0]
    assert told.meta["og:site_name"] == "A Book"
    assert told.meta["description"] == told.meta["og:description"]
    assert 20 < len(told.meta["description"]) <= 200
    picture = told.meta["og:image"].removeprefix(f"{home}/")
    assert (site / picture).read_bytes() == head.PICTURE.read_bytes()
    assert len(told.meta["og:image:alt"]) > 20


def test_the_words_are_the_pages_own(site):
    book, first, second = (read(site, page).meta for page in PAGES)
    assert book["og:description"] == "It is about “one” thing."
    assert (book["og:title"], first["og:title"]) == ("Book", "A & B")
    assert (book["og:type"], first["og:type"]) == ("website", "article")
    assert first["description"].endswith("many words…")
    assert second["description"] == head.BOOK


def test_the_map_names_every_page_once(site):
    places = [place.text for place in xml.parse(site / "sitemap.xml").iterfind(".//{*}loc")]
    assert places == [f"{address.online()}/{page}.html" for page in PAGES]


def test_a_lost_reader_is_led_to_every_page_from_any_depth(site):
    text = (site / "404.html").read_text(encoding="utf-8")
    for page in PAGES:
        assert f'href="{address.online()}/{page}.html"' in text
    assert "A &amp; B</a>" in text
    # Nothing is asked for: the address at which it is shown may be of any depth.
    assert all(
        link.startswith(("https:", "data:")) for link in re.findall(r'href="([^"]*)"', text)
    )
    assert "src=" not in text and "url(" not in text


def test_a_fork_says_its_own_address_not_that_of_the_configuration():
    class Settings:
        html_baseurl = ""

    head.at_home(None, Settings)
    assert Settings.html_baseurl == f"{address.online()}/"
    Settings.html_baseurl = "https://a.org/"
    head.at_home(None, Settings)
    assert Settings.html_baseurl == "https://a.org/"


@pytest.mark.parametrize("length", [5, 199, 200, 201, 1000])
def test_a_description_is_cut_at_a_word(length):
    document = nodes.paragraph(text=("word " * 300)[:length].strip())
    text = head.described(document)
    assert len(text) <= 200 and set(text.rstrip("…").split()) <= {"word", "wor", "wo", "w"}
    assert text.endswith("…") == (length > 200)


def test_the_book_says_the_same_of_itself_everywhere():
    start = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert head.BOOK.rstrip(".") in start
