"""The living figures: what they say in Python, what stands in the page, what a browser shows."""

import base64
import html
import io
import json
import math
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from companion import distances, models
from companion.book import widgets
from companion.book.widgets import (
    Arrow,
    Circle,
    Frames,
    LinearGuess,
    NearestBoundary,
    Overlay,
    Panel,
    Plane,
    Window,
    curves,
    explore,
    histogram,
    images,
    scatter,
)
from companion.book.widgets.page import INK, LIMIT, number, page, png, three
from companion.models import MLP

SAID = {"caption": "A caption.", "alt": "A picture."}


def wall(weight=(3.0, 4.0), bias=0.0):
    """Logits 0 and w.x + b, whose boundary is one line."""
    net = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0, 0.0], list(weight)]))
        net[0].bias.copy_(torch.tensor([0.0, bias]))
    return net


def random_net(sizes=(2, 16, 2), activation="relu", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = MLP(sizes, activation)
    with torch.no_grad():
        for layer in net.children():
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(3)
    return net


POINTS = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.5, -1.0], [-0.25, 0.75]])
LABELS = torch.tensor([1, 0, 0, 1])


def plane(model=None, **more):
    given = {"points": POINTS, "labels": LABELS, **SAID, **more}
    return Plane(random_net() if model is None else model, **given)


SAME = np.arange(12) % 3 == 0
STEPS = {"trained": [0, 10, 100], "memorized": [0, 50], "untrained": [0]}


def pairs(network, layer, step):
    x = np.linspace(0, 4, 12)
    y = x * (1 + layer) / 2 + step / 100 + len(network)
    return scatter(
        x, y, groups={"between": ~SAME, "within": SAME}, text=f"r = 1, {network} {step}"
    )


def frames(**more):
    given = {
        "sliders": {"layer": [1, 2], "training step": STEPS},
        "switch": ("network", list(STEPS)),
        **SAID,
        **more,
    }
    return Frames(pairs, **given)


CIRCLE = np.linspace(0, 2 * np.pi, 12, endpoint=False)


def beside(beta):
    """A circle of radius 1 + beta, and a line y = 2x for beta = 1."""
    groups = {"A": ~SAME, "B": SAME}
    x, y = (1 + beta) * np.cos(CIRCLE), (1 + beta) * np.sin(CIRCLE)
    along = np.linspace(0, 4, 12)
    return (
        scatter(x, y, groups=groups, text=f"radius {1 + beta}"),
        scatter(along, 2 * along**beta, groups=groups, text=f"power {beta}"),
    )


def twins(**more):
    given = {
        "sliders": {"beta": [1, 0, 0.5]},
        "panels": [Panel(), Panel(xlim=(0, 4), ylim=(0, 8))],
    }
    return Frames(beside, **{**given, **SAID, **more})


# ---- Plane: closed forms ---------------------------------------------------------------------


def test_one_wall_is_solved_by_hand():
    state = plane(wall(bias=-2.0)).at(0.9, 0.8)
    assert state.own == 1
    assert state.value == pytest.approx(-3.9)  # 2 - 3 * 0.9 - 4 * 0.8: negative where it stands
    said = state.numbers
    assert (said["gradient_x"], said["gradient_y"]) == pytest.approx((-3, -4))  # to the rival
    assert said["linear"] == pytest.approx(0.78)  # 3.9 / 5
    guess = said["guess_x"], said["guess_y"]
    assert guess == pytest.approx((0.9 - 0.78 * 0.6, 0.8 - 0.78 * 0.8))
    # The search ends within 1e-6 of the side: its last rays are 6e-7 of a turn apart.
    assert said["nearest"] == pytest.approx(0.78, abs=1e-6)
    assert (said["foot_x"], said["foot_y"]) == pytest.approx(guess, abs=1e-5)


def test_behind_the_wall_the_gradient_changes_sign_and_the_decision_function_does_not():
    state = plane(wall()).at(-0.9, -0.8)
    assert (state.own, state.value) == (0, pytest.approx(-5.9))
    assert (state.numbers["gradient_x"], state.numbers["gradient_y"]) == pytest.approx((3, 4))


def test_the_share_of_directions_is_that_of_the_arc_behind_the_wall():
    state = plane(wall()).at(0.3, 0.4, radius=1)  # half a unit from the wall
    # acos(1/2) to either side: a third of the turn; 1,440 directions are counted.
    assert state.numbers["share"] == pytest.approx(1 / 3, abs=1 / 720)
    assert plane(wall()).at(0.3, 0.4, radius=0.49).numbers["share"] == 0


def test_at_a_kink_the_nearest_boundary_is_not_where_the_linear_guess_ends():
    net = MLP((2, 1, 2), "relu")
    with torch.no_grad():
        net.linear1.weight.copy_(torch.tensor([[0.0, 1.0]]))
        net.linear1.bias.zero_()
        net.logits.weight.copy_(torch.tensor([[0.0], [1.0]]))
        net.logits.bias.copy_(torch.tensor([0.5, 0.0]))
    said = plane(net).at(0, -0.5).numbers  # F = relu(y) - 1/2: flat below 0, boundary at y = 1/2
    assert (said["gradient_x"], said["gradient_y"]) == (0, 0)
    assert said["linear"] == math.inf and math.isnan(said["guess_x"])
    assert said["nearest"] == pytest.approx(1, abs=1e-6)


def test_without_a_boundary_in_the_box_the_distance_is_infinite():
    figure = plane(wall((0.0, 0.0), 1.0))
    said = figure.at(0, 0).numbers
    assert (said["nearest"], said["share"]) == (math.inf, 0)
    assert math.isnan(said["foot_x"])
    assert "NaN" not in data_of(figure)[1]
    texts = {one.name: one.text(said, "units") for one in figure.overlays}
    assert texts == {
        "gradient of F": "0.00 logits per unit",
        "linear guess at": "none in sight",
        "nearest boundary at": "none in sight",
        "directions to the rival": "0.00 %",
    }


# ---- Plane: an independent computation -------------------------------------------------------


@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "abs", "softplus", "tanh", "sigmoid", "identity"]
)
@pytest.mark.parametrize("sizes", [(2, 9, 2), (2, 8, 7, 2)])
def test_decision_function_and_gradient_are_those_of_the_model(activation, sizes):
    net = random_net(sizes, activation)
    state = plane(net).at(0.31, -0.42)
    x = torch.tensor([[0.31, -0.42]], dtype=torch.float64, requires_grad=True)
    logits = net.double()(x)[0]
    value = logits[1 - state.own] - logits[state.own]
    (slope,) = torch.autograd.grad(value, x)
    # Weights of order one travel with seven digits, and up to 16 terms of them are added twice.
    assert state.value == pytest.approx(value.item(), rel=1e-5, abs=1e-5)
    gradient = state.numbers["gradient_x"], state.numbers["gradient_y"]
    assert gradient == pytest.approx(slope[0].tolist(), rel=1e-5, abs=1e-5)


@settings(max_examples=8)
@given(seed=st.integers(0, 50), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_the_nearest_boundary_is_on_the_boundary_and_none_is_nearer(seed, x, y):
    figure = plane(random_net(seed=seed))
    said = figure.at(x, y).numbers
    nearest, foot = said["nearest"], (said["foot_x"], said["foot_y"])
    circle = figure.at(x, y, radius=min(0.99 * nearest, 1.3))
    # A few slivers may hide between 360 rays; none does for these networks.
    assert circle.numbers["share"] == 0
    if math.isfinite(nearest):
        assert math.dist((x, y), foot) == pytest.approx(nearest, rel=1e-9, abs=1e-12)
        beyond = [b + 1e-6 * (b - a) for a, b in zip((x, y), foot, strict=True)]
        left, right, bottom, top = figure.field.window
        if left < beyond[0] < right and bottom < beyond[1] < top and nearest > 1e-3:
            assert figure.at(*beyond).own == 1 - circle.own


def test_the_model_is_given_back_as_it_was():
    net = random_net().train()
    with torch.inference_mode(False), torch.no_grad():
        plane(net).at(0, 0)
    assert net.training and all(p.requires_grad and p.grad is None for p in net.parameters())


# ---- the page --------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Elements that close in order, attributes that occur once; remembers both."""

    VOID = ("img", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.ids = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.ids += [value for name, value in attrs if name == "id"]
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def data_of(figure):
    text = figure._repr_html_()
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.S)[1]
    return json.loads(found), found


@pytest.mark.parametrize("make", [plane, frames, twins])
def test_the_page_is_valid_small_and_always_the_same(make):
    text = make()._repr_html_()
    assert text == make()._repr_html_()
    tags = Tags(text)
    assert tags.seen == ["div", "figure", "img", "figcaption", "script", "script"]
    assert tags.ids == []  # nothing that a second figure on the page could hold as well
    assert len(text.encode()) < 60_000
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_text_of_the_caller_stays_text():
    evil = '</script><img src=x onerror="alert(1)"><!-- & "'
    for figure in (
        plane(names=(evil, "b"), caption=evil, alt=evil, window=Window(xlabel=evil)),
        frames(caption=evil, alt=evil, panels=[Panel(xlabel=evil)]),
    ):
        assert Tags(figure._repr_html_()).seen.count("img") == 1
        data, raw = data_of(figure)
        assert "<" not in raw
        assert (data["alt"], data.get("panels", [data])[0]["xlabel"]) == (evil, evil)


def test_the_page_of_a_plane_holds_its_numbers():
    data, _ = data_of(plane(wall(), start=(0.5, 0.25), overlays=[Circle(0.75)]))
    assert data["layers"] == [
        {"weight": [[3, 4]], "bias": [0], "activation": "identity", "number": 0}
    ]
    assert data["points"][0] == [1, 1, 1]
    (circle,) = data["overlays"]
    assert (data["start"], circle["settings"]["radius"]["start"]) == ([0.5, 0.25], 0.75)


def decoded(text, low, high):
    codes = [64 * one_six(a) + one_six(b) for a, b in zip(text[::2], text[1::2], strict=True)]
    return low + np.array(codes) / 4095 * (high - low)


def one_six(letter):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet.index(letter)


def test_frames_travel_with_12_bits_of_the_range():
    figure = frames()
    data, _ = data_of(figure)
    (frame,) = data["frames"][data["lookup"][0][1][2]]
    wanted = pairs("trained", 2, 100)
    assert frame["text"] == wanted.text
    window = data["panels"][0]["window"]
    ends = (window[:2], window[2:])
    for part, given_part in zip(frame["parts"], wanted.parts, strict=True):
        for place, values, end in zip(part, given_part, ends, strict=True):
            # Half a step of 4,095 is what rounding may cost.
            off = np.abs(decoded(data["arrays"][place], *end) - values).max()
            assert off <= (end[1] - end[0]) / 8190 * 1.001


def test_equal_arrays_travel_once():
    data, _ = data_of(frames())
    assert len(data["frames"]) == 12
    assert len({part[0] for (frame,) in data["frames"] for part in frame["parts"]}) == 2


def test_51_frames_of_60_points_fit():
    x = torch.pdist(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)))
    given = torch.Generator().manual_seed(1)
    figure = Frames(
        lambda layer, step: scatter(x, x + torch.rand(len(x), generator=given)),
        sliders={"layer": [1, 2, 3], "step": range(17)},
        **SAID,
    )
    assert len(figure._repr_html_().encode()) < LIMIT


def test_what_frames_say_in_python():
    (state,) = frames().at("memorized", 2, 50)
    assert (state.text, state.count) == ("r = 1, memorized 50", 12)
    assert state.mean_x == pytest.approx(2)
    assert state.mean_y == pytest.approx(2 * 1.5 + 0.5 + 9)


def test_histograms_count_and_curves_keep_their_order():
    steps = histogram({"a": [0, 0.1, 0.9], "b": []}, bins=[0, 0.5, 1])
    assert steps.parts[0][0].tolist() == [0, 0.5, 0.5, 1]
    assert steps.parts[1][1].tolist() == [0, 0, 0, 0]
    assert curves({"a": ([2, 1], [0, 1])}).parts[0][0].tolist() == [2, 1]


def test_pictures_travel_as_bytes():
    figure = Frames(
        {(1,): images(np.eye(2)[None]), (2,): images(np.zeros((1, 2, 2)))},
        sliders={"step": [1, 2]},
        **SAID,
    )
    data, _ = data_of(figure)
    assert (data["panels"][0]["shape"], data["arrays"]) == ([1, 2, 2], ["/wAA/w==", "AAAAAA=="])
    assert figure.at(1)[0].count == 0


def test_two_panels_say_what_they_show():
    one, other = twins().at(0.5)
    assert (one.text, one.count) == ("radius 1.5", 12)
    assert (one.mean_x, one.mean_y) == pytest.approx((0, 0), abs=1e-12)
    assert (other.text, other.count, other.mean_x) == ("power 0.5", 12, pytest.approx(2))
    assert other.mean_y == pytest.approx(2 * np.sqrt(np.linspace(0, 4, 12)).mean())


def test_two_panels_travel_together():
    figure = twins()
    data, _ = data_of(figure)
    assert [tuple(side["window"]) for side in data["panels"]] == list(figure.window)
    for place, beta in zip(data["lookup"][0], (1, 0, 0.5), strict=True):
        frame = data["frames"][place]
        for shown, wanted, side in zip(frame, beside(beta), data["panels"], strict=True):
            assert shown["text"] == wanted.text
            for part, given_part in zip(shown["parts"], wanted.parts, strict=True):
                for array, values, low in zip(part, given_part, (0, 2), strict=True):
                    end = side["window"][low : low + 2]
                    off = np.abs(decoded(data["arrays"][array], *end) - values).max()
                    assert off <= (end[1] - end[0]) / 8190 * 1.001
    # The line y = 2x has the same place in both of its ranges: its arrays travel once.
    assert all(x == y for x, y in data["frames"][data["lookup"][0][0]][1]["parts"])


def test_each_panel_is_drawn_as_it_is_told():
    given = [Panel(xlabel="one"), Panel(xlabel="other", xlim=(-3, 5), diagonal=True)]
    figure = twins(panels=given)
    data, _ = data_of(figure)
    assert [side["xlabel"] for side in data["panels"]] == ["one", "other"]
    assert [side["diagonal"] for side in data["panels"]] == [False, True]
    assert figure.window[1][:2] == (-3, 5) != figure.window[0][:2]


@pytest.mark.parametrize("x", [(0, 1), (0, 100)])
def test_equal_widens_the_shorter_range_to_both_sides(x):
    plain, figure = (
        Frames(
            lambda k: curves({"a": (x, (0, 10))}),
            sliders={"k": [0]},
            panels=[Panel(equal=equal)],
            **SAID,
        ).window[0]
        for equal in (False, True)
    )
    across, up = (figure[k + 1] - figure[k] for k in (0, 2))
    assert across / up == pytest.approx(378 / 328)  # the box that static/frames.js draws into
    shorter, longer = (0, 2) if x == (0, 1) else (2, 0)
    assert figure[longer : longer + 2] == plain[longer : longer + 2]
    middle = sum(plain[shorter : shorter + 2])
    assert sum(figure[shorter : shorter + 2]) == pytest.approx(middle)


def inked(picture):
    """Height and width in pixels of what is drawn in colour, or at all on a transparent ground."""
    values = np.asarray(picture).astype(int)
    ink = values[..., 3] > 0 if values.shape[2] == 4 else np.ptp(values, axis=2) > 60
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return np.ptp(rows), np.ptp(columns)


def test_the_still_has_both_panels_and_a_circle_is_round():
    def rings(k):
        ring = scatter(3 * np.cos(CIRCLE), 3 * np.sin(CIRCLE))
        return ring, scatter(np.cos(CIRCLE), np.sin(CIRCLE))

    panels = [Panel(equal=True), Panel(ylim=(-9, 9))]
    figure = Frames(rings, sliders={"k": [0]}, panels=panels, **SAID)
    still = Image.open(io.BytesIO(figure.still())).convert("RGB")
    middle = still.width // 2
    left = inked(still.crop((0, 0, middle, still.height)))
    right = inked(still.crop((middle, 0, still.width, still.height)))
    assert left[0] == pytest.approx(left[1], abs=3) and left[0] > 100  # in pixels
    assert 10 < right[0] < right[1] / 3  # y of the second reaches over a ninth of its range


@pytest.mark.parametrize("make", [plane, frames, twins])
def test_the_still_is_as_sharp_as_other_figures_and_knows_its_size(make):
    figure = make()
    picture = Image.open(io.BytesIO(figure.still()))
    assert picture.info["dpi"] == pytest.approx((192, 192), abs=0.1)
    (tag,) = re.findall('<img class="ng-still".*? src=', figure._repr_html_())
    sides = [int(re.search(f'{side}="(\\d+)"', tag)[1]) for side in ("width", "height")]
    assert sides == [side // 2 for side in picture.size]


def test_two_panels_stay_below_300_kb_together():
    draw = np.random.default_rng(0).random

    def one(k):
        return scatter(draw(1_000), draw(1_000))

    given = {"sliders": {"k": range(40)}, **SAID}
    assert len(Frames(one, **given)._repr_html_().encode()) < LIMIT
    with pytest.raises(ValueError, match="has 4.. kB, of which 3.. kB are data, but"):
        Frames(lambda k: (one(k), one(k)), **given)._repr_html_()


def test_the_text_form_is_the_caption():
    assert (repr(plane()), repr(frames())) == ("A caption.", "A caption.")


# ---- sentences -------------------------------------------------------------------------------


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        return x + self.inner(x)


@pytest.mark.parametrize(
    ("model", "more", "error", "sentence"),
    [
        (MLP((3, 4, 2)), {}, ValueError, "maps 3 inputs to 2 outputs, but"),
        (MLP((2, 4, 3)), {}, ValueError, "maps 2 inputs to 3 outputs, but"),
        (nn.Sequential(), {}, ValueError, "maps 0 inputs to 0 outputs, but"),
        (MLP((2, 50, 50, 2)), {}, ValueError, "needs 2650 products .* up to 2000"),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU()), {}, TypeError, "holds a GELU, which"),
        (nn.Sequential(nn.Tanh(), nn.Linear(2, 2)), {}, ValueError, "A tanh does not follow"),
        (Skip(), {}, ValueError, "differ from the chain of its layers by"),
        (lambda x: x, {}, TypeError, "model is a function, but its weights"),
        (None, {"points": POINTS[:, :1]}, ValueError, r"points have shape \(4, 1\), but"),
        (None, {"points": POINTS[:0]}, ValueError, r"points have shape \(0, 2\), but"),
        (None, {"points": POINTS / 0}, ValueError, "4 of 4 points hold NaN or infinity"),
        (None, {"labels": LABELS[:3]}, ValueError, r"labels have shape \(3,\)"),
        (None, {"labels": LABELS + 1}, ValueError, r"values \[1, 2\], but"),
        (None, {"names": ("a",)}, ValueError, "names are 1, but there are two"),
        (None, {"overlays": ("arrow",)}, TypeError, "Overlay 0 is 'arrow', but what is drawn"),
        (None, {"overlays": (Arrow(), Arrow())}, ValueError, "two overlays Arrow, but their"),
        (None, {"start": (9, 0)}, ValueError, r"\(9.0, 0.0\) lies outside the window"),
        (None, {"overlays": [Circle(9)]}, ValueError, "radius is 9.0, but the window is"),
        (None, {"window": Window((0, 1), (0, 2))}, ValueError, "round only in a square"),
        (None, {"window": Window((0, 1))}, ValueError, r"xlim = \(0, 1\) and ylim = None, but"),
        (None, {"window": Window(unit="")}, ValueError, "unit is '', but a living figure"),
        (None, {"caption": " "}, ValueError, "caption is ' ', but a living figure"),
        (None, {"alt": ""}, ValueError, "alt is '', but a living figure"),
    ],
)
def test_the_sentences_of_a_plane(model, more, error, sentence, as_a_user):
    with pytest.raises(error, match=sentence):
        plane(model, **more)


def test_the_sentence_for_a_setting_that_no_overlay_has():
    with pytest.raises(ValueError, match="no setting 'angle': the overlays of .* have radius."):
        plane().at(0, 0, angle=1)
    with pytest.raises(ValueError, match="no setting 'radius': the overlays of .* have none."):
        plane(overlays=[Arrow()]).at(0, 0, radius=1)


def lines(n):
    return curves({"a": (range(n), range(n))})


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: frames(sliders={}), ValueError, "There are 0 sliders and 3 options"),
        (lambda: frames(switch=("network", [])), ValueError, "2 sliders and 0 options"),
        (lambda: Frames(lines, sliders={"n": []}, **SAID), ValueError, "it needs at least one"),
        (lambda: Frames(lines, sliders={"n": [1, 1]}, **SAID), ValueError, r"values \(1, 1\)"),
        (
            lambda: Frames({(1,): lines(1)}, sliders={"n": [1, 2]}, **SAID),
            ValueError,
            r"There is no frame for \(2,\), but",
        ),
        (
            lambda: Frames(lines, sliders={"n": [1, 2]}, **SAID),
            ValueError,
            r"Frame \(1,\) has 1 points and frame \(2,\) 2, but frames",
        ),
        (
            lambda: Frames(
                {(1,): lines(1), (2,): scatter([0], [0])}, sliders={"n": [1, 2]}, **SAID
            ),
            ValueError,
            "a panel has one legend",
        ),
        (lambda: Frames(lambda n: n, sliders={"n": [1]}, **SAID), TypeError, "is a int, but"),
        (lambda: frames(start=("trained", 3, 0)), ValueError, "There is no frame"),
        (lambda: frames().at("trained"), ValueError, r"There is no frame \('trained',\)"),
        (
            lambda: frames(panels=[Panel(xlim=(0, 1))]),
            ValueError,
            r"values lie outside xlim = \(0.0, 1.0\)",
        ),
        (
            lambda: frames(panels=[Panel(ylim=(1, 1))]),
            ValueError,
            r"ylim is \(1.0, 1.0\), but an axis",
        ),
        (lambda: frames(alt=""), ValueError, "alt is '', but"),
        (
            lambda: Frames({(1,): lines(0)}, sliders={"n": [1]}, **SAID),
            ValueError,
            "No frame holds a point",
        ),
        (
            lambda: Frames(lambda n: (lines(1), n), sliders={"n": [1]}, **SAID),
            TypeError,
            r"The frame for \(1,\) of panel 2 is a int, but",
        ),
        (
            lambda: Frames(lambda n: [], sliders={"n": [1]}, **SAID),
            ValueError,
            r"The list of frames for \(1,\) is empty, but a figure has a panel or more",
        ),
        (
            lambda: Frames(
                {(1,): lines(1), (2,): (lines(1), lines(1))}, sliders={"n": [1, 2]}, **SAID
            ),
            ValueError,
            r"Frame \(1,\) and frame \(2,\) have 1 and 2 panels, but all frames show the",
        ),
        (
            lambda: Frames(lambda n: (lines(1), lines(n)), sliders={"n": [1, 2]}, **SAID),
            ValueError,
            r"Frame \(1,\) of panel 2 has 1 points and frame \(2,\) 2, but frames",
        ),
        (
            lambda: Frames(
                lambda n: (curves({str(n): ([0], [0])}), lines(1)), sliders={"n": [1, 2]}, **SAID
            ),
            ValueError,
            r"Frame \(1,\) of panel 1 shows lines of \('1',\) and frame \(2,\)",
        ),
        (
            lambda: Frames(lambda n: (lines(1), lines(0)), sliders={"n": [1]}, **SAID),
            ValueError,
            "No frame of panel 2 holds a point",
        ),
        (
            lambda: twins(panels=[Panel(), Panel(ylim=(0, 7))]),
            ValueError,
            r"2 of 36 values of panel 2 lie outside ylim = \(0.0, 7.0\)",
        ),
        (lambda: twins(panels=[Panel(), Panel(xlabel="")]), ValueError, "xlabel is '', but a liv"),
        (
            lambda: twins(panels=[Panel()] * 3),
            ValueError,
            r"There are 3 panels, but a list of 2 for \(1,\): pass one Panel",
        ),
        (lambda: scatter([1, 2], [1]), ValueError, r"have \[2, 1, 2\] entries"),
        (lambda: scatter([1], [math.nan]), ValueError, "y holds 1 values that are NaN"),
        (lambda: curves({"a": ([1, 2], [1])}), ValueError, "The curve 'a' has 2 x and 1 y"),
        (lambda: curves({}), ValueError, "The frame has 0 groups"),
        (lambda: images(np.ones((8, 8))), ValueError, r"pictures have shape \(8, 8\)"),
        (lambda: images(np.full((1, 8, 8), 16)), ValueError, "from 16 to 16, but"),
    ],
)
def test_the_sentences_of_frames(make, error, sentence, as_a_user):
    with pytest.raises(error, match=sentence):
        make()


# What the correlation did in a figure whose caption said that it falls.
FALLS = {"hidden": [0.89, 0.84, 0.72], "logits": [0.67, 0.74, 0.66]}


def falling(holds, caption="The correlation falls from step to step."):
    def frame(layer, step):
        return scatter([0, 1], [0, FALLS[layer][step]], text=f"r = {FALLS[layer][step]}")

    sliders = {"layer": list(FALLS), "step": range(3)}
    return Frames(frame, sliders=sliders, caption=caption, alt="Two points.", holds=holds)


def falls(layer, step):
    return step == 0 or FALLS[layer][step] < FALLS[layer][step - 1]


def test_a_caption_that_is_false_of_one_state_stops_a_strict_run(monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    sentence = "^The caption 'The correlation falls .*' is false at logits, 1, says holds=, but a"
    with pytest.raises(ValueError, match=sentence):
        falling(falls)
    with pytest.raises(ValueError, match="is false at hidden, 0 and 5 more, says"):
        falling(lambda layer, step: None)


def test_in_a_readers_own_run_such_a_caption_says_so_itself(monkeypatch):
    monkeypatch.delenv("COMPANION_STRICT", raising=False)
    figure = falling(falls)
    said = "The correlation falls from step to step. (In this run it is not so at logits, 1.)"
    assert repr(figure) == said and f"<figcaption>{said}<" in figure._repr_html_()


def test_a_caption_is_held_against_every_state(monkeypatch):
    monkeypatch.setenv("COMPANION_STRICT", "1")
    asked = []

    def ends_lower(*values):
        asked.append(values)
        return FALLS[values[0]][2] < FALLS[values[0]][0]

    assert repr(falling(ends_lower, "At last it is lower.")) == "At last it is lower."
    assert asked == [(layer, step) for layer in FALLS for step in range(3)]
    with pytest.raises(ValueError, match="is false at untrained, 2, 0, says holds="):
        frames(holds=lambda network, layer, step: (network, layer) != ("untrained", 2))


def test_every_frame_is_made_before_the_caption_is_asked(monkeypatch):
    """So that `holds` may compare what the frames have measured."""
    monkeypatch.setenv("COMPANION_STRICT", "1")
    made = []

    def frame(step):
        made.append(step)
        return scatter([0, 1], [0, step])

    Frames(frame, sliders={"step": range(3)}, holds=lambda _: made == [0, 1, 2], **SAID)


def test_a_figure_above_300_kb_is_refused():
    still = png(Figure(figsize=(1, 1)))
    with pytest.raises(ValueError, match="has 3.. kB, of which 300 kB are data, but"):
        page("frames", {"much": "x" * 300_000}, still, caption="c", alt="a", scripts=())


STATIC = Path(widgets.__file__).parent / "static"


def test_scripts_and_stills_have_the_same_inks():
    assert re.findall("#[0-9a-f]{6}", (STATIC / "theme.js").read_text("utf-8"))[:4] == list(INK)


def long_functions(text, most=40):
    """First lines of functions of a script whose end is further down, by their indentation."""
    found, lines = [], text.splitlines()
    for k, line in enumerate(lines):
        if re.search(r"=> \{$|^ *(async )?function ", line):
            edge = re.match(" *", line)[0]
            end = next(i for i in range(k + 1, len(lines)) if lines[i].startswith(edge + "}"))
            found += [line] * (end - k >= most)
    return found


@pytest.mark.parametrize("file", sorted(STATIC.rglob("*.js")), ids=lambda file: file.stem)
def test_a_script_holds_one_idea_in_short_functions(file):
    text = file.read_text("utf-8")
    assert len(text.splitlines()) <= 350 and long_functions(text) == []
    assert max(map(len, text.splitlines())) <= 100
    body = "\n" * 39
    assert long_functions(f"const f = () => {{{body}\n}};") == ["const f = () => {"]
    assert long_functions(f"function f() {{{body}}}") == []


def test_numbers_of_the_page_have_four_digits():
    assert [number(value) for value in (123456.0, 0.000123456, 0)] == [123500.0, 0.0001235, 0.0]


# ---- panels for a live kernel ----------------------------------------------------------------


def pictured(panel):
    """The picture of a panel: its bytes and its alt text."""
    *_, picture, _ = panel.children
    found = re.fullmatch(r'<img alt="([^"]+)" .*base64,([^"]+)">', picture.value)
    return base64.b64decode(found[2]), html.unescape(found[1])


def test_the_panel_of_distances_answers_its_menus():
    pytest.importorskip("ipywidgets", reason="no ipywidgets here: it comes with the extra book")
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(20) % 2
    net = MLP((5, 8, 2))
    panel = explore(net, x, y)
    layer, which, picture, said = panel.children
    first, alt = pictured(panel)
    assert first.startswith(b"\x89PNG") and said.value.startswith('<p aria-live="polite">linear1')
    layer.value, which.value = "logits", "within a class"
    later, other = pictured(panel)
    assert later != first
    # What one sees is said of the state that is shown.
    assert alt.startswith("Scatter of pairs of all classes: the distance in linear1 upward")
    assert other.startswith("Scatter of pairs within a class: the distance in logits upward")
    d, e = (distances.pairwise(v) for v in (x, models.representations(net, x)["logits"]))
    same = distances.within_class(y)
    assert f"from {three(float(e[same].min()))} to {three(float(e[same].max()))}, against" in other
    assert f"from {three(float(d[same].min()))} to {three(float(d[same].max()))}." in other
    r = float(distances.correlation(d, e, where=same))
    assert f"logits, pairs within a class: correlation of distances {r:.3f};" in said.value


def test_the_panel_of_a_plane_says_what_the_plane_says():
    pytest.importorskip("ipywidgets", reason="no ipywidgets here: it comes with the extra book")
    panel = explore(wall(), POINTS, LABELS, part="plane")
    across, up, radius, picture, said = panel.children
    before, alt = pictured(panel)
    across.value, up.value, radius.value = 0.3, 0.4, 1.0
    state = plane(wall()).at(across.value, up.value, radius=radius.value)
    nearest, share = state.numbers["nearest"], 100 * state.numbers["share"]
    assert f"nearest boundary at {three(nearest)} units; directions to" in said.value
    assert f"directions to the rival {three(share)} %." in said.value
    later, other = pictured(panel)
    assert later != before and other != alt
    assert f"the point at ({three(across.value)}, {three(up.value)}) lies in " in other


def test_where_ipywidgets_is_missing_a_sentence_stands(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    panel = explore(wall(), POINTS, LABELS)
    assert "needs ipywidgets, which is not installed here" in repr(panel)
    assert panel._repr_html_() == f"<p>{panel}</p>"


def test_the_sentence_for_an_unknown_part():
    with pytest.raises(ValueError, match="no part 'margins' to explore: choose one of distances"):
        explore(wall(), POINTS, LABELS, part="margins")


# ---- in a browser ----------------------------------------------------------------------------

DARK = "<style>:root{color-scheme:light dark}</style>"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here: the living figures were not tried in a browser")
    with api.sync_playwright() as started:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = started.chromium.launch(executable_path=chromium, args=options)
        yield running
        running.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page with figures; at the end no request, error or global name may be left."""
    pages = []

    def open_page(*figures, **context):
        body = "".join(f"<div>{figure._repr_html_()}</div>" for figure in figures)
        file = tmp_path / f"{len(pages)}.html"
        head = f"<!doctype html><html lang=en><meta charset=utf-8><title>t</title>{DARK}"
        phone = "<meta name=viewport content='width=device-width, initial-scale=1'>"
        file.write_text(f"{head}{phone}<main>{body}</main></html>", encoding="utf-8")
        tab = browser.new_context(**context).new_page()
        tab.trouble = []
        tab.on("pageerror", lambda error: tab.trouble.append(str(error)))
        tab.on("console", lambda line: tab.trouble.append(line.text))
        tab.on("request", lambda asked: tab.trouble.append(asked.url))
        tab.add_init_script("window.before = Object.keys(window).length")
        tab.goto(file.as_uri())
        pages.append(tab)
        return tab

    yield open_page
    for tab in pages:
        outside = [one for one in tab.trouble if not one.startswith(("file:", "data:"))]
        assert outside == []
        # `before` itself is the one name that was added.
        assert tab.evaluate("Object.keys(window).length - window.before") <= 1
        tab.context.close()


def drawn(tab):
    urls = [one.evaluate("node => node.toDataURL()") for one in tab.locator("canvas").all()]
    files = [io.BytesIO(base64.b64decode(url.partition(",")[2])) for url in urls]
    return [np.asarray(Image.open(file).convert("RGBA")) for file in files]


def state_of(tab, kind="plane", place=0):
    return tab.locator(f".ng-{kind}").nth(place).evaluate("node => ({...node.dataset})")


def key_of(name):
    """`foot_x` stands in data-foot-x, which a script reads as footX."""
    first, *more = name.split("_")
    return first + "".join(word.title() for word in more)


def agrees(figure, shown):
    """The numbers of the page against those of Python, within 1e-3 of the range shown."""
    settings = {name: float(shown[name]) for name in figure.settings}
    state = figure.at(float(shown["x"]), float(shown["y"]), **settings)
    assert int(shown["own"]) == state.own
    steep = max(abs(state.value), figure.field.at(state.x, state.y).slope)
    for name, value in {"value": state.value, **state.numbers}.items():
        room = 1e-3 * (1 if name == "share" else figure.field.side)
        if name == "value" or name.startswith("gradient"):
            room = 1e-3 * steep
        got = float(shown[key_of(name)].replace("Infinity", "inf"))
        assert got == pytest.approx(value, abs=room, nan_ok=True), name
    return state


EVERY = [Arrow(), LinearGuess(), NearestBoundary(), Circle(0.4)]


def test_every_overlay_has_its_script_and_is_tried():
    names = {one.script for one in EVERY}
    assert {file.stem for file in STATIC.glob("overlays/*.js")} == names
    public = {name for name in widgets.__all__ if issubclass_of_overlay(getattr(widgets, name))}
    assert public == {type(one).__name__ for one in EVERY}


def issubclass_of_overlay(one):
    return isinstance(one, type) and issubclass(one, Overlay) and one is not Overlay


@pytest.mark.parametrize("overlay", EVERY, ids=lambda one: one.script)
def test_in_the_browser_an_overlay_says_what_python_says(opened, overlay):
    figure = plane(random_net(seed=4), start=(0.1, 0.2), overlays=[overlay])
    tab = opened(figure)
    opening = {name: float(state_of(tab)[name]) for name in figure.settings}
    assert opening == {
        name: pytest.approx(one.start, abs=0.01) for name, one in figure.settings.items()
    }
    handle = tab.get_by_role("slider").first
    for keys in ([], ["Shift+ArrowRight"] * 6 + ["ArrowUp"] * 3, ["Shift+ArrowDown"] * 9):
        for key in keys:
            handle.press(key)
        for control in tab.locator("input[type=range]").all():
            control.press("PageUp")
        shown = state_of(tab)
        state = agrees(figure, shown)
        others = {"x", "y", "own", "value", "ready"}
        assert set(shown) - others == set(map(key_of, [*state.settings, *state.numbers]))
        row = tab.locator("li").last.inner_text().split("\n")
        text = overlay.text(state.numbers, "units")
        assert row[0] == overlay.name
        assert [re.sub(r"[−\d.]+", "#", one) for one in (row[-1], text)] == ["# " + unit(text)] * 2


def unit(text):
    return text.partition(" ")[2]


@pytest.mark.parametrize(
    ("sizes", "activation", "theme"),
    [
        ((2, 16, 2), "relu", "light"),
        ((2, 12, 9, 2), "tanh", "dark"),
        ((2, 6, 2), "abs", "light"),
        ((2, 9, 2), "softplus", "dark"),
    ],
)
def test_in_the_browser_a_plane_says_what_python_says(opened, sizes, activation, theme):
    figure = plane(random_net(sizes, activation, seed=4), start=(0.1, 0.2))
    tab = opened(figure, color_scheme=theme)
    agrees(figure, state_of(tab))
    handle = tab.get_by_role("slider").first
    for keys in (["Shift+ArrowRight"] * 6 + ["ArrowUp"] * 3, ["Shift+ArrowDown"] * 9):
        for key in keys:
            handle.press(key)
        assert agrees(figure, state_of(tab)).value <= 0
    tab.locator("input[type=range]").fill("0.9")
    assert agrees(figure, state_of(tab)).settings["radius"] == pytest.approx(0.9, abs=0.01)
    assert tab.get_by_text("negative where it stands").is_visible()


def test_both_sides_say_numbers_with_the_same_three_digits(opened):
    values = [0, 0.9996, -1.2345, 123.456, 12345.6, 0.00004, -0.0123449, 1e-9, 2.5]
    living = (STATIC / "living.js").read_text("utf-8")
    tab = opened()
    said = tab.evaluate(
        f"values => {{ {living}\n return values.map((one) => three(one)); }}", values
    )
    assert said == [three(value) for value in values]


def test_keys_move_the_point_and_stop_at_the_edge(opened):
    figure = plane(wall(), start=(0, 0))
    tab = opened(figure)
    handle = tab.get_by_role("slider").first
    handle.press("ArrowRight")
    assert float(state_of(tab)["x"]) == pytest.approx(figure.field.side / 100)
    for _ in range(25):
        handle.press("Shift+ArrowUp")
    assert float(state_of(tab)["y"]) == pytest.approx(figure.field.window[3])
    handle.press("Home")
    assert (state_of(tab)["x"], state_of(tab)["y"]) == ("0", "0")
    handle.press("Tab")
    handle.press("ArrowLeft")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.evaluate(outline) == "solid"
    tab.wait_for_timeout(400)
    assert tab.locator("[aria-live=polite]").inner_text().startswith("Point at −0.0")


def spot(tab, figure, x, y):
    box = tab.locator("canvas").bounding_box()
    left, right, bottom, top = figure.field.window
    return (
        box["x"] + (x - left) / (right - left) * box["width"],
        box["y"] + (top - y) / (top - bottom) * box["height"],
    )


def test_the_mouse_drags_the_point(opened):
    figure = plane(start=(0, 0))
    tab = opened(figure)
    tab.mouse.move(*spot(tab, figure, 0, 0))
    tab.mouse.down()
    tab.mouse.move(*spot(tab, figure, 0.5, -0.5), steps=4)
    tab.mouse.up()
    state = agrees(figure, state_of(tab))
    assert (state.x, state.y) == pytest.approx((0.5, -0.5), abs=0.02)
    tab.mouse.click(*spot(tab, figure, -0.7, 0.7))
    assert float(state_of(tab)["x"]) == pytest.approx(-0.7, abs=0.02)


def test_a_finger_drags_the_point_on_a_phone(opened):
    figure = plane(start=(0, 0))
    phone = {"width": 390, "height": 800}
    tab = opened(figure, viewport=phone, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    box = tab.get_by_role("slider").first.bounding_box()
    assert (box["width"], box["height"]) == (44, 44)
    assert tab.locator("input[type=range]").bounding_box()["height"] >= 44
    finger = tab.context.new_cdp_session(tab)

    def touch(kind, *at):
        points = [{"x": x, "y": y} for x, y in at]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", spot(tab, figure, 0, 0))
    for k in range(1, 5):
        touch("touchMove", spot(tab, figure, -0.15 * k, 0.1 * k))
    touch("touchEnd")
    state = agrees(figure, state_of(tab))
    assert (state.x, state.y) == pytest.approx((-0.6, 0.4), abs=0.03)
    # The canvas is drawn at the density of the screen.
    assert tab.locator("canvas").evaluate("node => node.width / node.clientWidth") > 1.9


def test_two_figures_do_not_disturb_each_other(opened):
    tab = opened(plane(start=(0, 0)), frames(), frames(), plane(start=(0, 0)))
    tab.get_by_role("slider").first.press("ArrowRight")
    assert state_of(tab)["x"] != "0" and state_of(tab, place=1)["x"] == "0"
    tab.get_by_role("radio", name="memorized").first.check()
    assert state_of(tab, "frames")["switch"] == "memorized"
    assert state_of(tab, "frames", 1)["switch"] == "trained"
    assert tab.locator("style#ng-living-style").count() == 1


def agree(figure, tab, *key):
    """The page shows the frames of this key, as Python says."""
    shown = state_of(tab, "frames")
    told = [shown[name] for name in ("switch", "slider1", "slider2") if shown.get(name)]
    assert told == [str(value) for value in key]
    places = enumerate(zip(figure.at(*key), figure.window, strict=True), 1)
    for k, (state, (left, right, bottom, top)) in places:
        assert (shown[f"text{k}"], int(shown[f"count{k}"])) == (state.text, state.count)
        x, y = float(shown[f"meanX{k}"]), float(shown[f"meanY{k}"])
        assert x == pytest.approx(state.mean_x, abs=1e-3 * (right - left))
        assert y == pytest.approx(state.mean_y, abs=1e-3 * (top - bottom))
        assert tab.locator(".ng-frames").first.get_by_text(state.text, exact=True).is_visible()


def test_in_the_browser_frames_say_what_python_says(opened):
    figure = frames(start=("trained", 1, 10))
    tab = opened(figure)
    agree(figure, tab, "trained", 1, 10)
    step, play = tab.locator("input[type=range]"), tab.get_by_role("button")
    tab.get_by_role("radio", name="2", exact=True).check()
    step.press("End")
    agree(figure, tab, "trained", 2, 100)
    assert step.get_attribute("aria-valuetext") == "100"
    tab.get_by_role("radio", name="memorized").check()
    agree(figure, tab, "memorized", 2, 50)
    assert play.is_enabled()
    tab.get_by_role("radio", name="untrained").check()
    agree(figure, tab, "untrained", 2, 0)
    assert step.is_disabled() and play.is_disabled()  # there is one step
    tab.get_by_role("radio", name="trained", exact=True).press("Space")
    agree(figure, tab, "trained", 2, 100)
    assert step.is_enabled() and play.is_enabled()


def test_two_values_are_a_switch_and_are_not_played(opened):
    sides = {"side": {"trained": ["left", "right"], "untrained": ["left"]}, "β": [0, 10]}
    figure = Frames(
        lambda network, side, beta: scatter([beta], [0], text=f"{network} {side} {beta}"),
        switch=("network", ["trained", "untrained"]),
        sliders=sides,
        start=("trained", "right", 10),
        **SAID,
    )
    tab = opened(figure)
    agree(figure, tab, "trained", "right", 10)
    assert tab.locator("input[type=range], button").count() == 0
    tab.get_by_role("radio", name="right").press("ArrowLeft")
    agree(figure, tab, "trained", "left", 10)
    tab.get_by_role("radio", name="untrained").check()
    tab.get_by_role("radio", name="0", exact=True).check()
    agree(figure, tab, "untrained", "left", 0)
    assert not tab.get_by_role("radio", name="right").is_visible()
    assert tab.get_by_role("group", name="side").is_visible()


def test_in_the_browser_two_panels_say_what_python_says(opened):
    figure = twins()
    tab = opened(figure, frames())
    slider = tab.locator("input[type=range]").first
    for beta, key in ((1, "Home"), (0, "ArrowRight"), (0.5, "End")):
        slider.press(key)
        agree(figure, tab, beta)
    tab.wait_for_timeout(400)
    said = tab.locator("[aria-live=polite]").first.inner_text()
    assert said == "beta 0.5: radius 1.5; power 0.5"
    assert "count2" not in state_of(tab, "frames", 1)


def three_panels(**more):
    def triple(beta):
        return [*beside(beta), histogram({"a": [beta]}, bins=[0, 0.5, 2], text=f"at {beta}")]

    return Frames(triple, sliders={"beta": [1, 0, 0.5]}, **SAID, **more)


def test_a_third_panel_moves_with_the_others(opened):
    figure = three_panels()
    tab = opened(figure, viewport={"width": 1200, "height": 900})
    tab.locator("input[type=range]").press("End")
    agree(figure, tab, 0.5)
    one, other, third = boxes(tab)
    assert one["x"] + one["width"] < other["x"] and one["y"] + one["height"] < third["y"]
    still = Image.open(io.BytesIO(figure.still()))
    assert still.height > 1.5 * Image.open(io.BytesIO(twins().still())).height


@pytest.mark.parametrize("make", [plane, frames, twins, three_panels])
def test_on_a_phone_controls_and_first_panel_are_seen_together(opened, make):
    tab = opened(make(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    first = tab.locator(".ng-view").first.bounding_box()
    controls = tab.locator("fieldset, input[type=range], button").all()
    seen = [first, *(one.bounding_box() for one in controls)]
    top, foot = min(one["y"] for one in seen), max(one["y"] + one["height"] for one in seen)
    # The book's header keeps 60 of 844 px for itself.
    assert foot - top < 780


def boxes(tab):
    return [view.bounding_box() for view in tab.locator(".ng-view").all()]


def test_two_panels_stand_side_by_side_and_on_a_phone_one_below_the_other(opened):
    # The longer text takes two lines at a desk; the panels stand level all the same.
    def uneven(k):
        return scatter([k], [0], text="a long text " * 7), scatter([k], [0], text="short")

    figure = Frames(uneven, sliders={"k": [0, 1, 2]}, **SAID)
    one, other = boxes(opened(figure, viewport={"width": 1200, "height": 900}))
    assert one["x"] + one["width"] < other["x"]
    for name in ("y", "width", "height"):
        assert one[name] == pytest.approx(other[name], abs=0.5)
    phone = {"width": 390, "height": 844}
    tab = opened(figure, viewport=phone, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    one, other = boxes(tab)
    assert one["y"] + one["height"] < other["y"]
    for name in ("x", "width", "height"):
        assert one[name] == pytest.approx(other[name], abs=0.5)
    for control in ("input[type=range]", "button"):
        assert tab.locator(control).bounding_box()["height"] >= 44
    for canvas in tab.locator("canvas").all():
        assert canvas.evaluate("node => node.width / node.clientWidth") > 1.9


def test_two_panels_share_one_legend_if_they_have_the_same_groups(opened):
    def unlike(beta):
        return beside(beta)[0], curves({"A": ([0, 1], [0, 1]), "B": ([0, 1], [1, 0])})

    tab = opened(twins(), Frames(unlike, sliders={"beta": [1, 0]}, **SAID))
    legends = [
        one.locator(".ng-keys").all_inner_texts() for one in tab.locator(".ng-frames").all()
    ]
    assert [["".join(text.split()) for text in one] for one in legends] == [["AB"], ["AB", "AB"]]


@pytest.mark.parametrize("two", [False, True])
def test_with_equal_a_circle_is_round_in_the_browser(opened, two):
    def ring(k):
        # Its points lie across and upright, at the same distance from the middle.
        frame = scatter([3, -3, 0, 0], [0, 0, 3, -3])
        return (frame, frame) if two else frame

    panels = [Panel(equal=True)] * (1 + two)
    tab = opened(Frames(ring, sliders={"k": [0, 1]}, panels=panels, **SAID))
    canvases = drawn(tab)
    assert len(canvases) == 1 + two
    for canvas, box in zip(canvases, tab.locator("canvas").all(), strict=True):
        stretch = box.evaluate("n => n.clientWidth / n.width / (n.clientHeight / n.height)")
        down, across = inked(canvas)
        assert across * stretch == pytest.approx(down, rel=0.01) and down > 100


def test_play_walks_to_the_end_and_less_motion_goes_by_hand(opened):
    tab = opened(frames())
    tab.get_by_role("button").click()
    assert state_of(tab, "frames")["slider2"] == "10"
    tab.wait_for_function("document.querySelector('.ng-frames').dataset.slider2 === '100'")
    tab.get_by_role("button", name="Play").wait_for()
    calm = opened(frames(), reduced_motion="reduce")
    calm.get_by_role("button", name="Next frame").click()
    calm.wait_for_timeout(1_200)
    assert state_of(calm, "frames")["slider2"] == "10"


def test_where_scripts_are_dropped_the_still_stands(browser, tmp_path):
    tab = browser.new_context(java_script_enabled=False).new_page()
    (tmp_path / "page.html").write_text(plane()._repr_html_(), encoding="utf-8")
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.get_by_role("img", name="A picture.").is_visible()
    assert tab.get_by_text("A caption.").is_visible()
    tab.context.close()


def test_in_print_the_still_stands(opened):
    tab = opened(plane())
    still, stage = tab.locator(".ng-still"), tab.locator(".ng-stage")
    assert (still.is_visible(), stage.is_visible()) == (False, True)
    tab.emulate_media(media="print")
    assert (still.is_visible(), stage.is_visible()) == (True, False)


# As a notebook puts outputs into a cell: first all of it, then the scripts run.
AGAIN = """text => {
    const cell = document.querySelector("main > div");
    cell.innerHTML = text;
    for (const old of cell.querySelectorAll("script:not([type])")) {
        const script = document.createElement("script");
        script.textContent = old.textContent;
        old.replaceWith(script);
    }
}"""


def test_a_figure_waits_for_the_scripts_of_its_own_overlays(opened):
    tab = opened(frames())
    one, other = plane(overlays=[Arrow()]), plane(overlays=[NearestBoundary()])
    tab.evaluate(AGAIN, one._repr_html_() + other._repr_html_())
    assert "gradientX" in state_of(tab) and "nearest" in state_of(tab, place=1)


def test_run_again_the_cell_leaves_nothing_behind(opened):
    tab = opened(frames())
    tab.get_by_role("button").click()
    tab.evaluate(AGAIN, frames()._repr_html_())
    assert tab.locator(".ng-stage").count() == 1
    tab.wait_for_timeout(1_200)
    assert state_of(tab, "frames")["slider2"] == "0"


def test_pictures_and_histograms_are_drawn(opened):
    steps = {"k": [0, 0.5, 1]}
    pictures = Frames(lambda k: images(np.full((2, 4, 4), k)), sliders=steps, **SAID)
    counts = Frames(
        lambda k: histogram({"a": [k / 2], "b": [0.2]}, bins=[0, 0.5, 1]),
        sliders=steps,
        **SAID,
    )
    tab = opened(pictures, counts)
    before = drawn(tab)
    for slider in tab.locator("input[type=range]").all():
        slider.press("End")
    after = drawn(tab)
    # Two black pictures of 4 x 4 with a transparent column between them, then two white ones.
    assert before[0].shape == (4, 9, 4)
    assert before[0][0, 0].tolist() == [0, 0, 0, 255] and before[0][0, 4, 3] == 0
    assert after[0][3, 8].tolist() == [255, 255, 255, 255]
    assert before[1].any() and (before[1] != after[1]).any()
