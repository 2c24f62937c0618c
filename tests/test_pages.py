"""The built book in a browser: every page, over http and as a file, in both themes, on a phone.

The checks are functions from an opened page to sentences, one for each finding. Every check is
tried on small broken pages made here, then on every page of a finished book. Where there is no
such book or no Chromium, those tests are skipped and say so.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ElementHandle, Page, sync_playwright

import claimpage
import ledger
from chapters import ROOT
from companion.book import claims
from companion.book.widgets import Frame, Frames, Panel, scatter
from serving import served

HTML = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = [
    "--no-sandbox",  # a superuser's browser does not start with it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A request to elsewhere is seen and named, and still does not leave this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
DESK, PHONE = (1200, 900), (390, 844)
HEAVY = 1.5e6  # bytes, without what the theme and MathJax share among all pages


# ---- opening a page --------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """A page in the browser, and what it did while it was opened.

    `home` is what every address of the book begins with; `requests` are the addresses that were
    asked for, `refused` those that did not come, `console` what the page wrote there.
    """

    page: Page
    home: str
    requests: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Browser, address: str, home: str, *, size=DESK, theme="light", touch=False
) -> Iterator[Visit]:
    """Opens a page in a profile of its own, and waits until its formulas are set."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, has_touch=touch
    )
    try:
        visit = Visit(context.new_page(), home)
        listen(visit)
        visit.page.goto(address, wait_until="load")
        visit.page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
        visit.page.wait_for_timeout(100)  # for what scripts do right after the page was loaded
        yield visit
    finally:
        context.close()


def listen(visit: Visit) -> None:
    page = visit.page
    page.on("request", lambda request: visit.requests.append(request.url))
    page.on("requestfailed", lambda r: visit.refused.append(f"{r.url} ({r.failure})"))
    page.on("response", lambda r: visit.refused.extend([f"{r.url} ({r.status})"] * (not r.ok)))
    page.on("console", lambda message: visit.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: visit.console.append(f"error: {error}"))


# ---- the checks ------------------------------------------------------------------------------


def strays(visit: Visit) -> list[str]:
    """All that a page needs lies in the book, and is there."""
    here = (visit.home, "data:", "blob:", "about:")
    found = [f"asks for {url}" for url in visit.requests if not url.startswith(here)]
    found += [f"does not get {what}" for what in visit.refused]
    # These open a connection without a request that could be seen.
    early = "link[rel~=preconnect], link[rel~=dns-prefetch]"
    for url in visit.page.eval_on_selector_all(early, "links => links.map(link => link.href)"):
        found.append(f"connects to {url}")
    return found


def messages(visit: Visit) -> list[str]:
    """The console is empty, but for what the theme itself logs on every page."""
    logged = ("log: [PST]", "log: [togglebutton]")
    ours = [message for message in visit.console if not message.startswith(logged)]
    return [f"writes to the console: {message}" for message in ours]


MATHS = r"""() => {
  const found = [];
  for (const place of document.querySelectorAll(".math")) {
    const text = place.textContent.trim().slice(0, 60);
    const set = place.querySelector("mjx-container");
    if (!set || !set.querySelector("svg")) found.push(`a formula is not set: ${text}`);
    else if (set.getBoundingClientRect().width === 0 && place.checkVisibility())
      found.push(`a formula is invisible: ${text}`);
  }
  // A command that MathJax does not know is no error to it: it is set as its own name, in red.
  const wrong = "[data-mml-node=merror], mjx-merror, mtext[mathcolor=red]";
  for (const place of document.querySelectorAll("mjx-container"))
    if (place.querySelector(wrong)) {
      const said = place.querySelector("[data-mjx-error]")?.dataset.mjxError;
      const unknown = place.querySelector("mtext[mathcolor=red]")?.textContent;
      found.push(`a formula has an error: ${said || unknown || place.textContent.slice(0, 60)}`);
    }
  return found;
}"""


def formulas(visit: Visit) -> list[str]:
    """Every formula is set, none as an error."""
    return visit.page.evaluate(MATHS)


def pictures(visit: Visit) -> list[str]:
    """Every picture says in words what it shows, and was drawn."""
    return visit.page.evaluate("""() => [...document.images].flatMap(image => {
      const name = image.src.slice(0, 60), found = [];
      if (!image.alt.trim()) found.push(`a picture has no alt text: ${name}`);
      if (image.complete && !image.naturalWidth) found.push(`a picture is broken: ${name}`);
      return found;
    })""")


SIDEWAYS = """() => {
  const width = document.documentElement.clientWidth;
  const page = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
  if (page <= width) return [];
  const held = element => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
      if (getComputedStyle(box).overflowX !== "visible") return true;
    return false;
  };
  const right = element => element.getBoundingClientRect().right;
  const spills = element => getComputedStyle(element).overflowX === "visible"
    && element.scrollWidth > element.clientWidth && element.clientWidth > 0;
  const out = [...document.body.querySelectorAll("*")].filter(
    element => (right(element) > width + 0.5 || spills(element)) && !held(element));
  const name = element => element.tagName.toLowerCase()
    + [...element.classList].map(name => "." + name).join("");
  const worst = out.slice(-3).map(name).join(", ") || "the page itself";
  return [`is ${page} px wide on a screen of ${width} px: ${worst}`];
}"""


def sideways(visit: Visit) -> list[str]:
    """Nothing has to be scrolled sideways, except inside a box of its own."""
    return visit.page.evaluate(SIDEWAYS)


# Nine tenths of axe's time go into the contrast of thousands of code tokens, of which one of each
# look on each ground is enough.
AGAIN = """() => {
  const grounds = new Map(), seen = new Set();
  const ground = element => {
    if (!element) return "";
    if (!grounds.has(element)) {
      const { backgroundColor: own } = getComputedStyle(element);
      const below = ground(element.parentElement);
      grounds.set(element, own === "rgba(0, 0, 0, 0)" ? below : `${own} on ${below}`);
    }
    return grounds.get(element);
  };
  for (const token of document.querySelectorAll("pre span, dt.sig span, code, code span")) {
    const { color, fontWeight, fontSize } = getComputedStyle(token);
    const look = [color, fontWeight, fontSize, ground(token)].join();
    if (token.childElementCount) continue;
    if (seen.has(look)) token.dataset.again = "";
    seen.add(look);
  }
}"""


def barriers(visit: Visit) -> list[str]:
    """Nothing that axe calls a serious or critical barrier, in the theme that is shown."""
    visit.page.evaluate(AGAIN)
    # Colours that are on their way from one theme to the other are those of neither.
    visit.page.add_style_tag(content="*, ::before, ::after { transition: none !important; }")
    result = Axe().run(
        visit.page,
        context={"exclude": [["[data-again]"]]},
        options={"resultTypes": ["violations"]},
    )
    return [
        f"{rule['id']} ({rule['impact']}): {place['html'][:160]} {place['failureSummary']}"
        for rule in result.response["violations"]
        if rule["impact"] in ("serious", "critical")
        for place in rule["nodes"]
    ]


# The text of the page with every formula left out, every code span a pair of backticks: a role
# that was not understood leaves its name in braces right before one.
SPOKEN = """() => {
  const page = (document.querySelector("article") || document.body).cloneNode(true);
  const silent = "pre, script, style, .math, mjx-container, .highlight, dt.sig";
  for (const element of page.querySelectorAll(silent)) element.remove();
  for (const element of page.querySelectorAll("code")) element.replaceWith("``");
  return page.textContent;
}"""
RAW = {
    "a directive": r"^\s*(?:```+\{?[\w-]+|~~~+\{|:::+|\.\. [\w-]+::).*",
    "a role": r"\{[A-Za-z][\w:+-]*\}`|:[a-z]+:`",
    "a target": r"^\s*\([\w:-]+\)=",
    "a substitution": r"\{\{.*?\}\}",
    "a formula": r"\\\(|\\\[|\$\$|\\begin\{|(?<![\w$])\$[^\s$](?:[^$\n]*[^\s$])?\$(?!\d)",
    "a link": r"\[[^\]\n]+\]\([^)\s]+\)",
    "an emphasis": r"\*\*\w[^*\n]*\*\*",
}


def remains(visit: Visit) -> list[str]:
    """No markup that was not understood: directives, roles, formulas, the builder's messages."""
    text = visit.page.evaluate(SPOKEN)
    found = [
        f"shows {what} as raw text: {match[0].strip()}"
        for what, form in RAW.items()
        for match in re.finditer(form, text, re.MULTILINE)
    ]
    said = ".system-message, .problematic"
    for note in visit.page.eval_on_selector_all(said, "all => all.map(one => one.textContent)"):
        found.append(f"shows a message of the builder: {note.strip()}")
    return found


OUTPUTS = """() => {
  const shown = "img, svg, canvas, input, video, hr, tbody td";
  const parts = ".cell_output, .cell_output :is(.output, .stderr, figure)";
  return [...document.querySelectorAll(parts)].map(output => {
      const copy = output.cloneNode(true);
      for (const element of copy.querySelectorAll("script, style")) element.remove();
      return {
        text: copy.textContent.trim(),
        empty: !copy.textContent.trim() && !copy.querySelector(shown),
        unsaid: output.matches("figure") && !copy.querySelector("img, svg, canvas"),
        error: output.matches(".stderr, .traceback, .error"),
      };
    });
}"""
UNMEANT = {
    "a traceback": r"Traceback \(most recent call last\)",
    "an error": r"^[A-Z]\w*(?:Error|Exception|Warning|Differs): .*",
    "an object without a form": r"<\w[^<>\n]* (?:at 0x[0-9a-f]+|with \d+ Axes)>",
}


def outputs(visit: Visit) -> list[str]:
    """Every output shows something, and none an error."""
    found = []
    for output in visit.page.evaluate(OUTPUTS):
        if output["empty"]:
            found.append("has an empty output")
        elif output["unsaid"]:
            found.append(f"has a figure without a picture: {output['text'][:60]}")
        if output["error"]:
            found.append(f"shows what was written to stderr: {output['text'][:160]}")
        for what, form in UNMEANT.items():
            if match := re.search(form, output["text"], re.MULTILINE):
                found.append(f"shows {what}: {match[0]}")
    return list(dict.fromkeys(found))


Move = Callable[[Page, ElementHandle, int], None]


def by_key(page: Page, control: ElementHandle, way: int) -> None:
    control.focus()
    page.keyboard.press("ArrowRight" if way > 0 else "ArrowLeft")


def by_mouse(page: Page, control: ElementHandle, way: int) -> None:
    x, y, to = grip(control, way)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to, y, steps=4)
    page.mouse.up()


def by_touch(page: Page, control: ElementHandle, way: int) -> None:
    x, y, to = grip(control, way)
    if control.evaluate("control => control.matches('input')"):
        page.touchscreen.tap(to, y)
        return
    # A finger that drags: playwright's own can only tap.
    finger = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", x), ("touchMove", (x + to) / 2), ("touchMove", to)):
        points = [{"x": at, "y": y}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    finger.detach()


def grip(control: ElementHandle, way: int) -> tuple[float, float, float]:
    """The middle of a control, and how far along to move it: a third of a slider, 30 px else."""
    control.scroll_into_view_if_needed()
    box = control.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return x, y, x + way * max(30, box["width"] / 3)


def living(visit: Visit, moves: dict[str, Move]) -> list[str]:
    """Every living figure is alive, and each of its controls changes the state that it shows."""
    asleep = len(visit.page.query_selector_all(".ng-living:not([data-ready])"))
    found = ["a living figure did not come to life"] * asleep
    for figure in visit.page.query_selector_all(".ng-living[data-ready]"):
        controls = figure.query_selector_all("input[type=range]:enabled, .ng-handle")
        if not controls:
            found.append("a living figure has nothing to move")
        panes = panes_of(figure)
        told = [{one} for one in panes]
        for control in controls:
            name = control.get_attribute("aria-label")
            for how, move in moves.items():
                states = {figure.evaluate("figure => JSON.stringify({...figure.dataset})")}
                # At one end of its range a control can only go the other way.
                for way in (1, -1):
                    move(visit.page, control, way)
                    states.add(figure.evaluate("figure => JSON.stringify({...figure.dataset})"))
                    for one, seen in zip(panes_of(figure), told, strict=True):
                        seen.add(one)
                if len(states) == 1:
                    found.append(f"a living figure does not react to {how}: {name}")
        for k, seen in enumerate(told, 1):
            if len(told) > 1 and len(seen) == 1:
                found.append(f"panel {k} of a living figure does not move: {seen.pop()}")
    return found


def panes_of(figure: ElementHandle) -> list[str]:
    """What a living figure says of each of its panels, "{}" if nothing."""
    state = figure.evaluate("figure => ({...figure.dataset})")
    said = []
    for k, _ in enumerate(figure.query_selector_all(".ng-view"), 1):
        told = [name for name in state if re.fullmatch(f"(text|count|mean[XY]){k}", name)]
        said.append(str({name: state[name] for name in sorted(told)}))
    return said


def together(visit: Visit) -> list[str]:
    """The controls of a living figure and its first panel fit on the screen at once."""
    found = []
    height = visit.page.viewport_size["height"] - 64  # what the header of the book keeps
    for figure in visit.page.query_selector_all(".ng-living[data-ready]"):
        parts = figure.query_selector_all("fieldset, input[type=range], button")
        parts += figure.query_selector_all(".ng-view")[:1]
        boxes = [box for box in (part.bounding_box() for part in parts) if box]
        ends = [edge for box in boxes for edge in (box["y"], box["y"] + box["height"])]
        if ends and max(ends) - min(ends) > height:
            found.append(
                f"controls and first panel of a living figure are not seen together: they take "
                f"{max(ends) - min(ends):.0f} of {height} px"
            )
    return found


def panels(visit: Visit, *, beside: bool) -> list[str]:
    """The first two panels of a living figure stand level, side by side or one below the other."""
    how = "side by side" if beside else "one below the other"
    found = []
    for figure in visit.page.query_selector_all(".ng-living[data-ready]"):
        boxes = [view.bounding_box() for view in figure.query_selector_all(".ng-view")]
        if len(boxes) > 1:
            one, other = boxes[:2]
            along, across = ("x", "y") if beside else ("y", "x")
            length = {"x": "width", "y": "height"}
            apart = one[along] + one[length[along]] <= other[along]
            ends = [box[across] + box[length[across]] for box in boxes[:2]]
            if not apart or abs(ends[0] - ends[1]) > 1:
                found.append(f"the panels of a living figure do not stand {how}: {boxes}")
    return found


def at_a_desk(visit: Visit) -> list[str]:
    moved = living(visit, {"the keyboard": by_key, "the mouse": by_mouse})
    return moved + panels(visit, beside=True)


CUT = """() => Array.from(document.querySelectorAll("div.math mjx-container"))
  .filter(formula => formula.getBoundingClientRect().right
    > formula.parentElement.getBoundingClientRect().right + 1)
  .map(formula => `a formula is cut off: ${formula.textContent}`)"""


def cut(visit: Visit) -> list[str]:
    """The box of each formula is no wider than the column, so all of it can be moved into it."""
    return visit.page.evaluate(CUT)


def on_a_phone(visit: Visit) -> list[str]:
    moved = living(visit, {"touch": by_touch})
    return moved + panels(visit, beside=False) + together(visit)


ON_ARRIVAL = (strays, messages, formulas, pictures, remains, outputs)


def weight(visit: Visit, folder: Path) -> int:
    """Bytes of a page over http, without what the theme and MathJax share among all pages."""
    ours = {path.name for path in (ROOT / "book" / "_static").iterdir()}
    names = {unquote(urlsplit(url).path).lstrip("/") for url in visit.requests}
    own = [n for n in names if not n.startswith("_static/") or Path(n).name in ours]
    return sum((folder / n).stat().st_size for n in own if (folder / n).is_file())


PAINTED = """() => new Promise(resolve => new PerformanceObserver(
    list => resolve(list.getEntries()[0].startTime)
  ).observe({type: "paint", buffered: true}))"""


def first_picture(visit: Visit) -> float:
    """Milliseconds from the request until the first of the page's content stands on the screen."""
    return visit.page.evaluate(PAINTED)


# ---- every page ------------------------------------------------------------------------------


def no_book() -> str | None:
    """Why the pages cannot be tested, None if they can."""
    if CHROMIUM is None:
        return f"no Chromium here: install one of {', '.join(BROWSERS)}"
    passed = ROOT / "_build" / ".passed"
    if not passed.is_file():
        return "no finished book in _build: make book"
    sources = [ROOT / "_config.yml", ROOT / "_toc.yml", *ROOT.glob("book/**/*")]
    sources += ROOT.glob("companion/**/*")
    newer = [
        path
        for path in sources
        if path.is_file()
        and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
        and path.stat().st_mtime > passed.stat().st_mtime
    ]
    if newer:
        return f"the book is older than {newer[0].relative_to(ROOT).as_posix()}: make book"
    return None


WITHOUT = no_book()
PAGES = [] if WITHOUT else [path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html")]
# The top index.html only leads on, the page for lost readers has no theme, and the theme's own
# snippets are no pages.
APART = ("index.html", "404.html")
PAGES = sorted(name for name in PAGES if name not in APART and not name.startswith("_static/"))

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no Chromium here: install one of {', '.join(BROWSERS)}"
)
needs_book = pytest.mark.skipif(WITHOUT is not None, reason=WITHOUT or "")


# For this file alone: playwright's event loop must not outlive it, or tests that run a notebook
# in the same process would find a loop running already.
@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def home():
    with served(HTML) as address:
        yield address


def held(visit: Visit, *checks: Callable[[Visit], list[str]]) -> None:
    found = [sentence for check in checks for sentence in check(visit)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@needs_book
@pytest.mark.parametrize("name", PAGES)
def test_page_over_http(name, browser, home):
    with opened(browser, home + name, home) as visit:
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "light"
        held(visit, *ON_ARRIVAL, barriers, at_a_desk)


@needs_book
@pytest.mark.parametrize("name", PAGES)
def test_page_as_a_file_on_a_phone_in_the_dark(name, browser):
    home, address = f"{HTML.as_uri()}/", (HTML / name).as_uri()
    with opened(browser, address, home, size=PHONE, theme="dark", touch=True) as visit:
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
        held(visit, *ON_ARRIVAL, sideways, cut, barriers, on_a_phone)


@needs_book
def test_the_top_page_leads_into_the_book(browser, home):
    with opened(browser, home + "book/index.html", home) as visit:
        visit.page.goto(home)
        visit.page.wait_for_url(home + "book/index.html")


@needs_book
@pytest.mark.parametrize(("size", "theme"), [(DESK, "light"), (PHONE, "dark")])
def test_the_page_for_lost_readers(size, theme, browser, home):
    with opened(browser, home + "404.html", home, size=size, theme=theme) as visit:
        held(visit, *ON_ARRIVAL, sideways, barriers)
        assert visit.page.locator("li a").count() > 10


@needs_book
def test_pages_are_light_and_soon_there(browser, home, capsys):
    measured = {}
    for name in PAGES:
        if name.startswith("book/"):
            with opened(browser, home + name, home) as visit:
                measured[name] = weight(visit, HTML), first_picture(visit)
    with capsys.disabled():
        print("\npage weight without the shared theme and MathJax, time to first picture:")
        for name, (bytes_, milliseconds) in measured.items():
            print(f"  {bytes_ / 1e6:6.3f} MB  {milliseconds:5.0f} ms  {name}")
    assert [name for name, (bytes_, _) in measured.items() if bytes_ >= HEAVY] == []


@needs_book
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_claims_unfold_without_a_barrier(theme, browser):
    home, address = f"{HTML.as_uri()}/", (HTML / "book" / "claims.html").as_uri()
    with opened(browser, address, home, size=PHONE, theme=theme) as visit:
        unfold = "rows => rows.forEach(row => row.open = true)"
        visit.page.eval_on_selector_all("details.ng-row", unfold)
        held(visit, formulas, sideways, barriers)


# ---- the page of the claims, on made-up ones -------------------------------------------------


def made_up(k: int) -> ledger.Claim:
    """One of many claims: every third on a constructed set, of three verdicts in turn."""
    verdict = ("holds", "not separable here", "does not hold here")[k % 3]
    effect = vars(claims.test([0.1, 0.2, 0.3 + k], at_least=0.2))
    one = ledger.Run(verdict, {"effect": effect}, "hour", date="2026-01-02")
    runs = {"torus": (one,)} if k % 3 == 2 else {"digits": (one,), "mnist": ()}
    says = f"Claim {k}: a sentence that is long enough to need more than one line on a phone."
    paper = ("Mantel (1967)", "a reader's guess")[k % 2]
    return ledger.Claim(f"chapter/{k}", f"book/{k // 40}", says, paper, "it matters", runs)


@pytest.fixture
def many_claims():
    """The page of 120 claims, with the book's own look."""
    page = claimpage.page([made_up(k) for k in range(120)], str, str, str)
    look = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    return f'<style>{look}</style><div class="bd-article">{page}</div>'


def rows(visit: Visit) -> int:
    return visit.page.locator("details.ng-row:visible").count()


@needs_chromium
def test_claims_are_filtered_by_verdict_paper_and_data_set(browser, tmp_path, many_claims):
    with opened_page(browser, tmp_path, many_claims) as visit:
        form, said = visit.page.locator("form.ng-filter"), visit.page.locator("output")
        assert rows(visit) == 120 and said.text_content() == "120 of 120 claims"
        form.locator("[name=verdict]").select_option("holds")
        assert rows(visit) == 40 and visit.page.locator(".ng-chapter:visible").count() == 3
        form.locator("[name=paper]").select_option("Mantel (1967)")
        assert rows(visit) == 20 and said.text_content() == "20 of 120 claims"
        # Both are asked of the same data set: what holds on digits was not run on mnist.
        form.locator("[name=data]").select_option("mnist")
        assert rows(visit) == 0 and visit.page.locator(".ng-chapter:visible").count() == 0
        form.locator("[name=verdict]").select_option("not run")
        assert rows(visit) == 40
        form.locator("button").click()
        visit.page.wait_for_function("document.querySelector('output').value.startsWith('120')")
        assert rows(visit) == 120
        held(visit, strays, messages)


@needs_chromium
def test_a_link_to_a_claim_unfolds_it_although_it_was_filtered_out(browser, tmp_path, many_claims):
    with opened_page(browser, tmp_path, many_claims) as visit:
        visit.page.locator("[name=verdict]").select_option("holds")
        row = visit.page.locator("[id='ledger-chapter/41']")
        assert not row.is_visible()
        visit.page.evaluate("location.hash = 'ledger-chapter/41'")
        visit.page.wait_for_function("document.querySelector('details[open]:not([hidden])')")
        assert row.is_visible() and row.get_by_text("at least 0.2").is_visible()


@needs_chromium
def test_without_script_all_claims_stand_there(browser, tmp_path, many_claims):
    (tmp_path / "page.html").write_text(f"<!doctype html>{many_claims}", encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator("details.ng-row:visible").count() == 120
    assert page.locator("form:visible").count() == 0
    context.close()


@needs_chromium
def test_many_claims_fit_on_a_phone(browser, tmp_path, many_claims):
    with opened_page(browser, tmp_path, many_claims, size=PHONE, touch=True) as visit:
        unfold = "rows => rows.forEach((row, k) => row.open = k % 5 == 0)"
        visit.page.eval_on_selector_all("details.ng-row", unfold)
        held(visit, *ON_ARRIVAL, sideways, barriers)


# ---- the checks on small pages ---------------------------------------------------------------

WHOLE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
<style>body { color: #222; background: #fff } pre { overflow-x: auto }</style></head>
<body><main><article><h1>A page</h1>
<p>Plain words, <em>stressed</em> ones, <code>{code}</code>, and it cost $5 or $6.</p>
<p><img alt="a dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="></p>
<p class="math"><mjx-container><svg width="9" height="9"></svg></mjx-container></p>
<pre tabindex="0">a very long line of code that is cut, and scrolls within its own box alone</pre>
<div class="cell_output"><div class="output">0.25</div></div>
<div class="ng-living" data-ready data-value="5"><input type="range" aria-label="amount"
 oninput="this.parentNode.dataset.value = this.value"></div>
<!-- here --></article></main></body></html>"""
FORMULA = '<p class="math">\\(x\\)</p>'
RED = '<mjx-container><svg></svg><mtext mathcolor="red">\\nosuch</mtext></mjx-container>'
MERROR = '<mjx-container><g data-mml-node="merror" data-mjx-error="Missing brace"></g>'
EMPTY = '<div class="cell_output"><div class="output"> <script></script></div></div>'
ERROR = '<div class="cell_output"><pre>{}</pre></div>'
DEAD = '<div class="ng-living" data-ready><input type="range" aria-label="amount"></div>'
HANDLE = (
    '<div class="ng-living" data-ready><div class="ng-handle" tabindex="0" aria-label="point" '
    'role="slider" aria-valuenow="0" style="width: 44px; height: 44px"></div></div>'
)
# Two panels that overlap in part, of which the second says nothing.
PAIR = (
    '<div class="ng-living" data-ready data-value="5"><input type="range" aria-label="both" '
    'oninput="this.parentNode.dataset.value = this.value">'
    '<div class="ng-view" style="width: 99px; height: 99px"></div>'
    '<div class="ng-view" style="width: 99px; height: 99px; margin: -9px 0 0 9px"></div></div>'
)
TALL = PAIR.replace("<input", '<input style="display: block; margin-bottom: 900px"')


def opened_page(browser: Browser, tmp_path: Path, more: str, **how):
    (tmp_path / "page.html").write_text(WHOLE.replace("<!-- here -->", more), encoding="utf-8")
    address = (tmp_path / "page.html").as_uri()
    return opened(browser, address, f"{tmp_path.as_uri()}/", **how)


@needs_chromium
def test_a_whole_page_passes(browser, tmp_path):
    with opened_page(browser, tmp_path, "") as visit:
        held(visit, *ON_ARRIVAL, sideways, barriers, at_a_desk)
        assert weight(visit, Path("/")) == (tmp_path / "page.html").stat().st_size
        assert 0 < first_picture(visit) < 60_000
    with opened_page(browser, tmp_path, "", size=PHONE, theme="dark", touch=True) as visit:
        held(visit, *ON_ARRIVAL, sideways, cut, barriers, on_a_phone)


def two_panels(beta: float) -> tuple[Frame, Frame]:
    groups = {"A": [True, False, True], "B": [False, True, False]}
    image = scatter([0, 1, beta], [beta, 1, 0], groups=groups, text=f"image at {beta}")
    return image, scatter([0, 1, 2], [0, beta, 2], groups=groups, text=f"distances at {beta}")


@needs_chromium
def test_a_page_with_two_panels_passes(browser, tmp_path):
    figure = Frames(
        two_panels,
        sliders={"β": [0, 0.5, 1]},
        panels=[
            Panel("first direction", "second direction", equal=True),
            Panel("distance in the input", "distance in the representation", diagonal=True),
        ],
        caption="A caption.",
        alt="Two scatters.",
    )
    with opened_page(browser, tmp_path, figure._repr_html_()) as visit:
        held(visit, *ON_ARRIVAL, barriers, at_a_desk)
    dark = {"size": PHONE, "theme": "dark", "touch": True}
    with opened_page(browser, tmp_path, figure._repr_html_(), **dark) as visit:
        held(visit, *ON_ARRIVAL, sideways, cut, barriers, on_a_phone)


BROKEN = {
    strays: [
        ('<img alt="x" src="https://example.invalid/x.png">', "asks for https://example.invalid"),
        ('<script src="missing.js"></script>', "does not get file:"),
        ('<link rel="preconnect" href="https://example.invalid">', "connects to https://example"),
    ],
    messages: [
        ("<script>console.error('oh')</script>", "writes to the console: error: oh"),
        ("<script>nosuch()</script>", "nosuch is not defined"),
    ],
    formulas: [
        (FORMULA, "a formula is not set: \\(x\\)"),
        (RED, "a formula has an error: \\nosuch"),
        (MERROR, "a formula has an error: Missing brace"),
    ],
    pictures: [
        ('<img src="data:image/gif;base64,R0lGODlhAQ">', "a picture has no alt text: data:"),
        ('<img alt=" " src="data:image/png;base64,R0lG">', "has no alt text: data:image/png"),
        ('<img alt="a dot" src="data:image/gif;base64,R0lG">', "a picture is broken"),
    ],
    sideways: [('<div class="wide" style="width: 70rem">x</div>', ", div.wide")],
    barriers: [
        ('<p style="color: #bbb">pale</p>', '<p style="color: #bbb">pale</p>'),
        ("<button></button>", "button-name (critical)"),
        ('<pre tabindex="0"><span style="color: #bbb">so pale</span></pre>', ">so pale</span>"),
    ],
    remains: [
        ("<p>\n```{note}\nhear\n```</p>", "shows a directive as raw text: ```{note}"),
        ("<p>\n:::{figure} x</p>", "shows a directive as raw text: :::{figure} x"),
        ("<p>see {term}<code>margin</code></p>", "shows a role as raw text: {term}"),
        ("<p>\n(label)=\n</p>", "shows a target as raw text: (label)="),
        ("<p>{{ name }}</p>", "shows a substitution as raw text: {{ name }}"),
        ("<p>so $r = 2$ here</p>", "shows a formula as raw text: $r = 2$"),
        ("<p>[here](there.ipynb)</p>", "shows a link as raw text: [here](there.ipynb)"),
        ("<p>a **strong** word</p>", "shows an emphasis as raw text: **strong**"),
        ('<div class="system-message">Unknown</div>', "shows a message of the builder: Unknown"),
    ],
    outputs: [
        (EMPTY, "has an empty output"),
        ('<div class="cell_output"><figure>Words</figure></div>', "without a picture: Words"),
        (ERROR.format("Traceback (most recent call last):\n..."), "shows a traceback"),
        (ERROR.format("ValueError: no"), "shows an error: ValueError: no"),
        (ERROR.format("&lt;a.Legend at 0x7f45&gt;"), "without a form: <a.Legend at 0x7f45>"),
        (ERROR.replace("<pre", '<pre class="stderr"').format("oh"), "written to stderr: oh"),
    ],
    at_a_desk: [
        ('<div class="ng-living"></div>', "did not come to life"),
        ('<div class="ng-living" data-ready></div>', "has nothing to move"),
        (DEAD, "does not react to the keyboard: amount"),
        (DEAD, "does not react to the mouse: amount"),
        (HANDLE, "does not react to the mouse: point"),
        (PAIR, "panel 2 of a living figure does not move: {}"),
        (PAIR, "do not stand side by side"),
    ],
    on_a_phone: [
        (DEAD, "does not react to touch: amount"),
        (HANDLE, "does not react to touch: point"),
        (PAIR, "panel 2 of a living figure does not move: {}"),
        (PAIR, "do not stand one below the other"),
        (TALL, "first panel of a living figure are not seen together: they take 10"),
    ],
}


@needs_chromium
@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
def test_what_is_broken_is_seen(check, browser, tmp_path):
    pieces = dict.fromkeys(piece for piece, _ in BROKEN[check])
    with opened_page(browser, tmp_path, "\n".join(pieces), size=PHONE, touch=True) as visit:
        found = "\n".join(check(visit))
    assert [said for _, said in BROKEN[check] if said not in found] == [], found


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_barrier_of_one_theme_alone_is_seen(theme, browser, tmp_path):
    pale = f"<style>@media (prefers-color-scheme: {theme}) {{ h1 {{ color: #ddd }} }}</style>"
    with opened_page(browser, tmp_path, pale, theme=theme) as visit:
        assert any("color-contrast" in sentence for sentence in barriers(visit))
