"""Figures: looks that need no colour, captions and alt texts that stay HTML, light pictures."""

import base64
import html.parser
import io
import itertools
import re
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from IPython.utils.capture import capture_output
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from companion import plots, run

SEEDS = np.random.default_rng(0).normal(0.7, 0.05, size=(5, 6, 5))
LAYERS = ("input", "linear1", "act1", "linear2", "act2", "logits")
TABLE = pd.DataFrame(
    {"network": network, "layer": layer, "seed": seed, "r": value}
    for network, rows in zip(plots.LOOKS, SEEDS, strict=True)
    for layer, values in zip(LAYERS, rows, strict=True)
    for seed, value in enumerate(values)
)


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


def seen(looks, vision):
    return [lab(VISION[vision] @ linear_rgb(one.color)) for one in looks]


NETWORKS, METHODS = plots.LOOKS.values(), plots.METHODS.values()
EVERY = [*NETWORKS, *METHODS, *plots.NEUTRAL]
GROUPS = {"networks": NETWORKS, "methods": METHODS, "neutral": plots.NEUTRAL}


def test_looks_belong_to_five_networks_and_seven_methods():
    assert list(plots.LOOKS) == ["trained", "untrained", "memorized", "trained_small", "linear"]
    methods = ("plain", "isometric", "scale-only", "weight decay", "Jacobian", "adversarial")
    assert list(plots.METHODS) == [*methods, "pixels"]
    assert plots.look("memorized") is plots.LOOKS["memorized"]
    assert plots.look("Jacobian") is plots.METHODS["Jacobian"]


def test_no_colour_and_no_marker_belongs_to_two():
    for field in ("color", "marker", "label"):
        assert len({getattr(look, field) for look in EVERY}) == len(EVERY) == 18


@pytest.mark.parametrize("group", GROUPS)
def test_line_styles_tell_a_group_apart(group):
    assert len({one.linestyle for one in GROUPS[group]}) == len(GROUPS[group])


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.label)
def test_lines_stand_out_from_the_white_ground(one):
    # 3 to 1 is what accessibility guidelines ask of lines.
    luminance = linear_rgb(one.color) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("group", [NETWORKS, METHODS, plots.NEUTRAL, [*NETWORKS, *METHODS]])
def test_colours_stay_apart_for_every_kind_of_colour_vision(group, vision):
    # About 2 is just noticeable side by side; thin lines far apart need ten times that.
    pairs = itertools.combinations(seen(group, vision), 2)
    assert min(np.linalg.norm(a - b) for a, b in pairs) > 20


@pytest.mark.parametrize("vision", VISION)
def test_neutral_colours_keep_away_from_those_of_the_networks(vision):
    # Eighteen colours 20 apart in all four visions were found, but thin lines in them are not
    # told apart by name (six purples). Neutral looks differ from methods by marker and dashes.
    pairs = itertools.product(seen(plots.NEUTRAL, vision), seen(NETWORKS, vision))
    assert min(np.linalg.norm(a - b) for a, b in pairs) > 15


def test_the_sentence_for_an_unknown_network():
    with pytest.raises(ValueError, match="^'lenet' is no network and no method with a look of it"):
        plots.look("lenet")


def test_looks_are_handed_out_by_name_and_label_and_the_rest_in_order():
    names = ["ruler", "memorized", "trained, small set", 0.1, "isometric", "ruler"]
    found = plots.looks(names)
    first, second = plots.NEUTRAL[:2]
    looks = first, plots.look("memorized"), plots.look("trained_small"), second
    looks += (plots.look("isometric"),)
    for part, field in (("palette", "color"), ("markers", "marker")):
        wanted = dict(zip(names, [getattr(one, field) for one in looks], strict=False))
        assert found[part] == wanted
    assert list(found["dashes"]) == names[:-1]


def test_a_name_may_be_shown_for_that_of_its_look():
    found = plots.looks({"β = 0": "plain", "β = 100": "isometric", "others": "others"})
    palette = [plots.look(kind).color for kind in ("plain", "isometric")]
    assert list(found["palette"].values()) == [*palette, plots.NEUTRAL[0].color]


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.label)
def test_seaborn_draws_a_look_as_matplotlib_does(one):
    name = {look.label: look.label for look in (*NETWORKS, *METHODS)}.get(one.label)
    names = [name] if name else [str(k) for k in range(6)]
    place = 0 if name else plots.NEUTRAL.index(one)
    table = pd.DataFrame({"x": [0, 1] * len(names), "y": 0.0, "name": np.repeat(names, 2)})
    _, (left, right) = plt.subplots(1, 2)
    kind = {"hue": "name", "style": "name", "errorbar": None, "legend": False}
    sns.lineplot(table, x="x", y="y", ax=left, **kind, **plots.looks(names))
    look = {"color": one.color, "marker": one.marker, "ls": one.linestyle}
    (wanted,) = right.plot([0, 1], [0, 0], **look)
    drawn = left.lines[place]
    assert drawn.get_color() == wanted.get_color() and drawn.get_marker() == wanted.get_marker()
    assert drawn._dash_pattern == wanted._dash_pattern


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (range(7), "7 names have no look of their own (0, 1, 2, 3, 4, 5, 6), but there are 6 "),
        (["trained_small", "trained, small set"], "two of the names trained_small, trained, sma"),
        ({"β = 1": "isometric", "β = 10": "isometric"}, "two of the names β = 1, β = 10 ask for"),
    ],
)
def test_sentences_of_looks(names, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        plots.looks(names)


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


def test_what_has_no_look_takes_the_neutral_ones():
    plots.style()
    _, axes = plt.subplots()
    for one in plots.NEUTRAL:
        (line,) = axes.plot([0, 1])
        assert (line.get_color(), line.get_marker()) == (one.color, "None")
        (wanted,) = axes.plot([0, 1], color="black", ls=one.linestyle)
        assert line._dash_pattern == wanted._dash_pattern
    assert axes.plot([0, 1], "o-")[0].get_linestyle() == "-"


def test_importing_the_room_leaves_seaborn_and_pandas_out():
    code = "import sys, companion.plots; assert not {'seaborn', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


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
    page, _ = shown(plots.by_layer(TABLE, "r", ylabel="correlation"), caption="c", alt="a")
    data = png(page)
    image = Image.open(io.BytesIO(data))
    assert image.size[0] == 2 * int(page.image["width"]) == 6 * 192
    assert image.size[1] // 2 == int(page.image["height"])
    # What another program needs to show the file at its size in print.
    assert image.info["dpi"] == pytest.approx((192, 192), abs=0.1)
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


# Legends


def test_one_legend_above_the_figure_takes_the_place_of_all_others():
    fig = Figure(layout="constrained")
    panels = fig.subplots(1, 2)
    for axes in panels:
        sns.lineplot(TABLE, x="seed", y="r", hue="network", ax=axes, errorbar=None)
    plots.legend(panels[0], ncols=3)
    assert [axes.get_legend() for axes in panels] == [None, None]
    (drawn,) = fig.legends
    assert [text.get_text() for text in drawn.get_texts()] == list(plots.LOOKS)


# Layer by layer


def lines_of(axes):
    """Those that hold data; seaborn adds empty ones for the legend."""
    return [line for line in axes.lines if len(line.get_xdata())]


def test_lines_join_means_over_the_layers_in_order():
    fig = plots.by_layer(TABLE, "r", ylabel="correlation", labels={"memorized": "own labels"})
    (axes,) = fig.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == list(LAYERS)
    for line, network, values in zip(lines_of(axes), plots.LOOKS, SEEDS, strict=True):
        look = plots.look(network)
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1), rtol=1e-14)
        assert (line.get_color(), line.get_marker()) == (look.color, look.marker)
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["trained", "untrained", "own labels", "trained, small set", "linear"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "correlation")
    assert axes.get_legend() is None


@pytest.mark.parametrize("values", [[0.5, 0.7], [0.5, 0.7, 0.9], list(SEEDS[0, 0])])
def test_bands_are_the_interval_over_seeds(values):
    assert plots.interval is run.interval
    table = pd.DataFrame({"network": "trained", "layer": "input", "r": values})
    fig = plots.by_layer(table, "r", ylabel="r")
    heights = fig.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_array_equal([heights.min(), heights.max()], run.interval(values))


def test_a_network_may_lack_layers():
    table = TABLE[(TABLE.network == "trained") | (TABLE.layer != "act1")]
    assert list(lines_of(plots.by_layer(table, "r", ylabel="r").axes[0])[1].get_xdata()) == [
        0, 1, 3, 4, 5,
    ]  # fmt: skip


def test_a_figure_by_layer_is_unknown_to_pyplot():
    plots.by_layer(TABLE, "r", ylabel="r")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "table, sentence",
    [
        (TABLE[:0], "the table has no rows in the column 'r', but finite numbers, one per netwo"),
        (TABLE.assign(r=np.nan), "the table holds 150 values that are not finite in the column "),
        (TABLE.assign(network="lenet"), "'lenet' is no network and no method with a look of its"),
    ],
)
def test_sentences_of_by_layer(table, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        plots.by_layer(table, "r", ylabel="r")
