"""Figures: one look per network, captions and alt texts that stay valid HTML, light pictures."""

import base64
import html.parser
import io
import itertools
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.utils.capture import capture_output
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from companion import plots
from companion.book import claims

SEEDS = np.random.default_rng(0).normal(0.7, 0.05, size=(5, 6, 5))
LAYERS = ("input", "linear1", "act1", "linear2", "act2", "logits")
CURVES = {
    network: dict(zip(LAYERS, values, strict=True))
    for network, values in zip(plots.LOOKS, SEEDS, strict=True)
}


@pytest.fixture(autouse=True)
def restored():
    with plt.rc_context():
        matplotlib.use("agg")
        yield
    plt.close("all")


class Figures(html.parser.HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.seen, self.image, self.caption = [], {}, ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag == "figure":
            assert dict(attrs)["class"] == "ng-figure"
        if tag == "img":
            self.image = dict(attrs)

    def handle_endtag(self, tag):
        self.seen.append(f"/{tag}")

    def handle_data(self, data):
        self.caption += data


def shown(fig, **texts):
    """The page's view of a figure and the plain one, through the object that is displayed."""
    pictures = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", pictures.append)
        assert plots.show(fig, **texts) is None
    (picture,) = pictures
    return Figures(picture._repr_html_()), repr(picture)


def png(page):
    head, data = page.image["src"].split(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


# Looks

# Matrices of Machado, Oliveira and Fernandes (2009) for complete loss, on linear RGB.
VISION = {
    "full": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear_rgb(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_reference_network_has_a_look_that_needs_no_colour():
    assert list(plots.LOOKS) == ["trained", "untrained", "memorized", "trained_small", "linear"]
    for field in ("color", "marker", "linestyle", "label"):
        assert len({getattr(look, field) for look in plots.LOOKS.values()}) == 5
    assert plots.look("memorized") is plots.LOOKS["memorized"]


@pytest.mark.parametrize("kind", plots.LOOKS)
def test_lines_stand_out_from_the_white_ground(kind):
    # 3 to 1 is what accessibility guidelines ask of lines.
    luminance = linear_rgb(plots.look(kind).color) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_colours_stay_apart_for_every_kind_of_colour_vision(vision):
    seen = [lab(VISION[vision] @ linear_rgb(one.color)) for one in plots.LOOKS.values()]
    # About 2 is just noticeable side by side; thin lines far apart need ten times that.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 20


def test_the_sentence_for_an_unknown_network():
    with pytest.raises(ValueError, match="^'lenet' is not a network with a look of its own: trai"):
        plots.look("lenet")


# Style


def test_the_style_is_opaque_white_and_set_only_when_called():
    before = dict(plt.rcParams)
    code = (
        "import matplotlib as m; a = dict(m.rcParams); import companion.plots; "
        "assert dict(m.rcParams) == a"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
    assert plots.style() is None
    assert dict(plt.rcParams) != before
    assert plt.rcParams["savefig.facecolor"] == plt.rcParams["axes.facecolor"] == "white"


def test_text_is_readable_at_phone_width():
    plots.style()
    width = plt.rcParams["figure.figsize"][0]
    sizes = [plt.rcParams[f"{one}.labelsize"] for one in ("axes", "xtick", "ytick")]
    sizes += [plt.rcParams["legend.fontsize"], plt.rcParams["font.size"]]
    # 350 pixels are left of a screen 390 wide; below 10 pixels letters are hard to read.
    assert min(sizes) / 72 * 350 / width >= 10


# Showing


def test_a_figure_is_one_element_with_caption_and_alt_text():
    page, plain = shown(Figure(), caption="Training tears.", alt="Two falling lines.")
    assert page.seen == ["figure", "img", "figcaption", "/figcaption", "/figure"]
    assert page.caption == plain == "Training tears."
    assert page.image["alt"] == "Two falling lines."


def test_texts_are_escaped_and_keep_their_characters():
    text = 'r < 0.9 & "torn" > \'kept\' $x$ <b>\n  é'
    page, plain = shown(Figure(), caption=text, alt=text)
    one_line = 'r < 0.9 & "torn" > \'kept\' $x$ <b> é'
    assert page.image["alt"] == page.caption == plain == one_line
    assert page.seen == ["figure", "img", "figcaption", "/figcaption", "/figure"]


def test_the_picture_is_sharp_opaque_and_light():
    plots.style()
    page, _ = shown(plots.by_layer(CURVES, ylabel="correlation"), caption="c", alt="a")
    data = png(page)
    image = Image.open(io.BytesIO(data))
    assert image.size[0] == 2 * int(page.image["width"]) == 6 * 192
    assert "transparency" not in image.info and image.mode in ("P", "RGB")
    assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    # Five lines with bands; 110 kB without a palette.
    assert len(data) < 60_000


def test_a_picture_with_too_many_colours_keeps_them():
    values = np.random.default_rng(0).random((60, 60, 3))
    fig = Figure(figsize=(1, 1))
    axes = fig.add_axes((0, 0, 1, 1))
    axes.imshow(values)
    axes.set_axis_off()
    page, _ = shown(fig, caption="c", alt="a")
    image = Image.open(io.BytesIO(png(page)))
    assert image.mode == "RGB"


def test_showing_closes_the_figure():
    fig, _ = plt.subplots()
    shown(fig, caption="c", alt="a")
    assert plt.get_fignums() == []


def test_outside_a_notebook_the_caption_is_printed():
    with capture_output() as captured:
        plots.show(Figure(), caption="Training tears.", alt="Two lines.")
    assert captured.stdout == "Training tears.\n"


@pytest.mark.parametrize("word", ["caption", "alt"])
def test_the_sentence_for_an_empty_text(word):
    texts = {"caption": "c", "alt": "a"} | {word: " "}
    with pytest.raises(ValueError, match=f"^{word} is ' ', but a figure needs both a caption and"):
        plots.show(Figure(), **texts)


def test_the_sentence_for_what_is_no_figure(as_a_user):
    _, axes = plt.subplots()
    with pytest.raises(TypeError, match="^fig is a Axes, but a matplotlib figure is needed: pass"):
        plots.show(axes, caption="c", alt="a")


# Layer by layer


def test_lines_join_means_over_the_layers_in_order():
    fig = plots.by_layer(CURVES, ylabel="correlation", labels={"memorized": "own labels"})
    (axes,) = fig.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == list(LAYERS)
    for line, network, values in zip(axes.lines, plots.LOOKS, SEEDS, strict=True):
        look = plots.look(network)
        np.testing.assert_array_equal(line.get_ydata(), values.mean(axis=1))
        assert (line.get_color(), line.get_marker()) == (look.color, look.marker)
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["trained", "untrained", "own labels", "trained, small set", "linear"]
    assert axes.get_ylabel() == "correlation"


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.7], [0.5, 0.7, 0.9], list(SEEDS[0, 0])])
def test_bands_are_the_intervals_of_the_claims(values):
    fig = plots.by_layer({"trained": {"input": values}}, ylabel="r")
    heights = fig.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    measured = claims.test(values, at_least=0)
    # Two ways to sum a few float64 numbers.
    ends = [heights.min(), fig.axes[0].lines[0].get_ydata()[0], heights.max()]
    np.testing.assert_allclose(ends, [measured.low, measured.mean, measured.high], rtol=1e-14)


def test_a_network_may_lack_layers():
    curves = {"trained": {"a": 1, "b": torch.tensor([2.0]), "c": 3}, "linear": {"a": 1, "c": 2}}
    fig = plots.by_layer(curves, ylabel="r")
    np.testing.assert_array_equal(fig.axes[0].lines[1].get_xdata(), [0, 2])


def test_a_figure_by_layer_is_unknown_to_pyplot():
    plots.by_layer(CURVES, ylabel="r")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "curves, sentence",
    [
        ({}, "curves holds no layer of any network, but there must be something to draw: pass"),
        ({"trained": {}}, "curves holds no layer of any network, but there must be something to"),
        ({"trained": {"a": []}}, r"the values of trained at a are \[\], but finite numbers, one"),
        ({"trained": {"a": [np.nan]}}, r"the values of trained at a are \[nan\], but finite numb"),
        ({"lenet": {"a": [1]}}, "'lenet' is not a network with a look of its own: trained, untr"),
    ],
)
def test_sentences_of_by_layer(curves, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        plots.by_layer(curves, ylabel="r")
