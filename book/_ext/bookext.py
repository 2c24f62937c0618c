"""The book's own Sphinx extension: boxes, figures, running times, the ledger, offline formulas.

Each idea has a file beside this one; here they are tied to the moments of a build.
"""

import html
import importlib.metadata
import os
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from jupyter_cache import get_cache
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import asides
import barriers
import boxes
import chaptercache
import claimpage
import docsigns
import exercisedoc
import figures
import head
import ledger
import reportcard
import rooms

logger = logging.getLogger(__name__)

LEDGER = "book/claims"


class LateNode(nodes.General, nodes.Element):
    """Where something of the chapters is to stand; replaced when all of them have been read."""


class LedgerDirective(Directive):
    """`{claims-ledger}` and `{report-card}`: without argument, option or content."""

    def run(self) -> list[nodes.Node]:
        return [LateNode(page=self.name)]


class LivingFigure(Directive):
    """`{living-figure} book/chapter`: the first living figure of an executed chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return [LateNode(page=self.name, chapter=self.arguments[0])]


class VerdictKey(Directive):
    """`{verdict-key}`: the five verdicts with their signs and what each means."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", claimpage.legend(), format="html")]


class WorkedExample(Directive):
    """`{worked-example}`: the made-up tests that the claims page explains a verdict by."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", claimpage.worked_example(), format="html")]


class AllFunctions(Directive):
    """`{all-functions}`: a table of the rooms and what each offers, with links."""

    def run(self) -> list[nodes.Node]:
        found = nodes.container(classes=["ng-functions"])
        self.state.nested_parse(StringList(rooms.table(), "rooms"), self.content_offset, found)
        return [found]


def setup(app: Sphinx) -> dict:
    app.add_node(LateNode)
    for page in ("claims-ledger", "report-card"):
        app.add_directive(page, LedgerDirective)
    app.add_directive("living-figure", LivingFigure)
    app.add_directive("all-functions", AllFunctions)
    app.add_directive("verdict-key", VerdictKey)
    app.add_directive("worked-example", WorkedExample)
    app.add_autodocumenter(exercisedoc.ExerciseDocumenter)
    app.connect("config-inited", head.at_home)
    app.connect("env-get-outdated", read_again)
    app.connect("source-read", choose_cache)
    app.connect("doctree-read", dress)
    app.connect("env-updated", collect)
    app.connect("doctree-resolved", show)
    app.connect("autodoc-process-docstring", escape_signs, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-docstring", add_formula, priority=600)  # what is set stays set
    app.connect("html-page-context", finish)
    app.connect("html-page-context", head.tell)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", lay_beside)
    # A new number of `env_version` has every page read again: what `dress` makes of it changed.
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}


def choose_cache(app: Sphinx, doc: str, source: list[str]) -> None:
    """Each chapter has a cache of its own, by what it rests on: its imports, data set and size."""
    path = str(app.env.doc2path(doc))
    if path.endswith(".ipynb"):
        cache = str(chaptercache.folder(app.srcdir, path))
        app.env.mystnb_config = app.env.mystnb_config.copy(execution_cache_path=cache)


def read_again(
    app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set
) -> list[str]:
    """The chapters that are not up to date though their files are.

    What one rests on has changed since it was read (`dress` notes its key), or its execution
    failed: the next build must fail as well.
    """
    rest = env.found_docs - added - changed - removed
    return [
        doc
        for doc in rest
        if _run(env, doc).get("succeeded") is False
        or env.metadata[doc].get("chapter_key") != _key(app, doc)
    ]


def dress(app: Sphinx, doctree: nodes.document) -> None:
    """Boxes, numbers of figures, and under a chapter's title how long it was executed."""
    boxes.frame(doctree)
    asides.drop(doctree)
    doc = app.env.docname
    if anchors := figures.number(doctree):
        # So that a page of the book can link to a figure, as [](chapter.ipynb#figure-1).
        linked = {one: (0, one, one.replace("-", " ").capitalize()) for one in anchors}
        app.env.metadata[doc].setdefault("myst_slugs", {}).update(linked)
    if late := [node["page"] for node in doctree.findall(LateNode)]:
        app.env.metadata[doc]["late"] = late
    if key := _key(app, doc):
        app.env.metadata[doc]["chapter_key"] = key
    run = _run(app.env, doc)
    title = next(doctree.findall(nodes.title), None)
    if title is not None and run.get("runtime") is not None:
        sentence = running_time(run["runtime"], ledger.dataset())
        title.parent.insert(title.parent.index(title) + 1, nodes.raw("", sentence, format="html"))


def running_time(seconds: float, data: str) -> str:
    """The sentence under a chapter's title: how long its cells took on which data set."""
    if seconds < 1:
        words = "less than a second"
    elif seconds < 100:
        words = f"{seconds:.0f} s"
    else:
        words = f"{seconds / 60:.1f} min"
    return f'<p class="ng-time">Executed for this page in {words}, on {html.escape(data)}.</p>'


def collect(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Read the executed chapters, write this data set's ledger, have its pages written anew."""
    found = {"claims": [], "columns": [], "cells": []}
    for doc in _in_order(env):
        path = str(env.doc2path(doc))
        if not path.endswith(".ipynb"):
            continue
        notebook = executed(app.srcdir, path)
        if notebook is None:
            # An execution that failed has been reported already, with its traceback.
            if _run(env, doc).get("succeeded") is not False:
                logger.warning(
                    "this chapter has not been executed, so the ledger lacks it: remove "
                    "_build/.doctrees and build again",
                    location=doc,
                )
            continue
        chapter = ledger.read(notebook, doc, chaptercache.code_key(app.srcdir, path))
        for kind, entries in chapter.items():
            found[kind] += entries
    for sentence in ledger.complaints(found):
        logger.warning(sentence)
    ledger.write(_ledgers(app), ledger.dataset(), found)
    late = {doc: pages for doc in env.found_docs if (pages := env.metadata[doc].get("late"))}
    for doc in late:
        if late[doc] != ["living-figure"]:
            # Without this mark the page would not load the script that sets formulas.
            env.get_domain("math").data["has_equations"][doc] = True
    return sorted(late)


def executed(root: Path, path: str) -> dict | None:
    """A chapter with its outputs, from the notebook cache; None if it has not been executed.

    Whether a chapter ran during this build or before it, its outputs are in the cache. The copy in
    `_build/jupyter_execute` has them only if it ran during this build.
    """
    cache = get_cache(chaptercache.folder(root, path))
    try:
        return cache.merge_match_into_notebook(nbformat.read(path, as_version=4))[1]
    except KeyError:
        return None


def show(app: Sphinx, doctree: nodes.document, doc: str) -> None:
    """Put the ledger's tables and the chapters' living figures where the page asks for them."""
    for node in list(doctree.findall(LateNode)):
        text = _filled(app, node, doc)
        node.replace_self(nodes.raw("", text, format="html"))


def _filled(app: Sphinx, node: LateNode, doc: str) -> str:
    if node["page"] == "living-figure":
        return living_figure(app, node["chapter"], doc)
    present, ledgers = ledger.dataset(), ledger.load(_ledgers(app))
    parts = _parts(app.env)

    def link(other: str) -> str:
        return app.builder.get_relative_uri(doc, other)

    def part(other: str) -> str:
        return parts.get(other, "")

    def title(other: str) -> str:
        return app.env.titles[other].astext()

    if node["page"] == "report-card":
        return reportcard.page(ledger.columns(ledgers, present), link, title)
    claims = ledger.claims(ledgers, present, ledger.kept(app.env.found_docs))
    return claimpage.page(claims, link, title, part)


def living_figure(app: Sphinx, chapter: str, doc: str) -> str:
    """The HTML of a chapter's first living figure, as it stands in the chapter itself."""
    known = chapter in app.env.found_docs
    notebook = executed(app.srcdir, app.env.doc2path(chapter)) if known else None
    for cell in notebook["cells"] if notebook else ():
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/html", ""))
            if 'class="ng-living' in text:
                return text
    missing = "has not been executed" if known else "is no page"
    why = "has no living figure" if notebook else missing
    logger.warning(f"{chapter} {why}: name a chapter that shows one", location=doc)
    return ""


def escape_signs(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    lines[:] = docsigns.escaped(lines)


def add_formula(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    app.env.note_dependency(str(Path(app.srcdir) / rooms.FORMULAS))
    if entry := rooms.formulas(app.srcdir).get(name):
        # Only here: what it draws with takes seconds to import, and most builds draw nothing.
        import pictures

        for file in pictures.FILES:
            app.env.note_dependency(str(file))
        lines[:] = rooms.with_formula(lines, **entry, picture=pictures.shown(name))


def finish(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """The last look at a page: its claims say their verdicts, and every reader can follow it."""
    # Chapters and no pages below them: the theme would fold these behind a switch without a name.
    context["theme_max_navbar_depth"] = 1
    if "body" not in context:
        return
    body = barriers.lowered(context["body"])
    body = figures.take_out(
        body, page, Path(app.outdir), lambda file: context["pathto"](file, resource=True)
    )
    here = ledger.load(_ledgers(app)).get(ledger.dataset(), {"claims": []})["claims"]
    if records := {claim["key"]: claim for claim in here if claim["doc"] == page}:
        beside = ledger.kept([page])
        runs = {key: ledger.kept_run(beside, claim) for key, claim in records.items()}
        address = app.builder.get_relative_uri(page, LEDGER)
        body = claimpage.in_place(body, records, runs, address)
    context["body"] = body


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Formulas are set by one local file, so that no page asks another machine for anything."""
    if exception is not None or app.builder.format != "html":
        return
    files = importlib.metadata.files("sphinx-mathjax-offline") or []
    source = next(file for file in files if file.name == "tex-svg-full.js").locate()
    target = Path(app.outdir) / "_static" / "mathjax" / "tex-svg-full.js"
    if not target.exists() or target.stat().st_size != os.path.getsize(source):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def lay_beside(app: Sphinx, exception: Exception | None) -> None:
    """What the site has beside its pages."""
    if exception is None and app.builder.format == "html":
        head.write_beside(app, _in_order(app.env))


def _run(env: BuildEnvironment, doc: str) -> dict:
    """How a page's notebook was executed, now or when it went into the cache; empty if never."""
    return getattr(env, "nb_metadata", {}).get(doc, {}).get("exec_data") or {}


def _key(app: Sphinx, doc: str) -> str | None:
    """The present key of a chapter; None for any other page."""
    path = str(app.env.doc2path(doc))
    return chaptercache.key(app.srcdir, path) if path.endswith(".ipynb") else None


def _ledgers(app: Sphinx) -> Path:
    return Path(app.outdir).parent / "ledger"


def _parts(env: BuildEnvironment) -> dict[str, str]:
    """The part of the book that each chapter stands in, by the captions of the contents."""
    parts = env.tocs[env.config.root_doc].findall(addnodes.toctree)
    return {doc: part["caption"] or "" for part in parts for doc in part["includefiles"]}


def _in_order(env: BuildEnvironment) -> list[str]:
    """All pages in the order of the table of contents, which is the order of the ledger."""
    order: dict[str, None] = {}

    def visit(doc: str) -> None:
        if doc not in order:
            order[doc] = None
            for child in env.toctree_includes.get(doc, []):
                visit(child)

    visit(env.config.root_doc)
    return [doc for doc in [*order, *sorted(env.found_docs - set(order))] if doc in env.found_docs]
