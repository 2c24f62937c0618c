"""The key of a kept network: what changes it, and what must not."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import companion
from companion import datasets
from companion.models import MLP
from companion.training import Recipe, keys

ROOT = Path(companion.__file__).parent


def blobs() -> datasets.Dataset:
    x = torch.arange(160, dtype=torch.float32).view(40, 4) / 160
    y = torch.arange(40) % 3
    return datasets.Dataset(x, y, x, y, "blobs", ("a", "b", "c"))


def key(build=lambda data: MLP((4, 5, 3)), recipe=Recipe(2, 0.1), **change) -> str:  # noqa: B008
    data = blobs()
    options = dict(data=data, labels=data.y_train, kind="trained", model=build, build=build)
    return keys.key(**{**options, "seed": 0, "recipes": (recipe,), **change})


# ---- the code that trains ----------------------------------------------------------------------


def loop_with(old: str, new: str) -> list[str]:
    source = (ROOT / "training" / "loop.py").read_text(encoding="utf-8")
    assert old in source
    return keys.parsed(source.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("step, meter = 0, ", "step, meter = 1, "),
        ("step / total)", "step / (total + 1))"),
        ("set_to_none=True", "set_to_none=False"),
        ("meter.epoch()\n            if", "if"),
        ("wide(value.detach()) * count", "value.detach() * count"),
    ],
)
def test_another_loop_is_another_key(old, new):
    assert loop_with(old, new) != loop_with("", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The one training loop", "A training loop"),
        ("    recipe: Recipe,\n    *", "    recipe: Recipe,  # how\n    *"),
        ("Means over the samples of each epoch, (", "Means, ("),
        ('training "\n            "diverged', 'training "\n            "went wrong'),
        ("recipe: Recipe,\n    *", "recipe: object,\n    *"),
        ("-> Curves:\n        if", "-> object:\n        if"),
        ("self.epochs: list[tuple[Tensor, Tensor, Tensor]] = []", "self.epochs: list = []"),
        ('"refuse_divergence", "train"', '"train"'),
        ("import time\n", "import math\nimport time\n"),
    ],
)
def test_words_about_the_loop_are_not(old, new):
    assert loop_with(old, new) == loop_with("", "")


def test_all_that_trains_is_where_the_key_looks_for_it():
    for file, names in keys.TRAINS.items():
        found = keys.parsed((ROOT / file).read_text(encoding="utf-8"), names)
        assert found and (names is None or len(found) == len(names)), file


def test_a_reader_and_a_test_find_the_same_networks():
    # Shape checks wrap every function in the tests; the key looks through them.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from companion import datasets, training\n"
        "from companion.training import keys, references\n"
        "data = datasets.load('digits')\n"
        "build = references.BUILDERS['mlp']\n"
        "print(keys.key(data, data.y_train, 'trained', 'mlp', build, seed=0,"
        " recipes=references._recipes(data, 'trained', 'mlp', None)))"
    )
    command = [sys.executable, "-c", code, str(ROOT.parent)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    from companion.training import references

    data, build = datasets.load("digits"), references.BUILDERS["mlp"]
    recipes = references._recipes(data, "trained", "mlp", None)
    assert keys.key(data, data.y_train, "trained", "mlp", build, seed=0, recipes=recipes) == told


# ---- builders ----------------------------------------------------------------------------------


class Dropping(MLP):
    """A dropout that neither the printed network nor its weights show."""

    def __init__(self, p: float):
        super().__init__((4, 5, 3))
        self.p = p

    def forward(self, x):
        return nn.functional.dropout(super().forward(x), self.p, self.training)


class Same(MLP):
    def forward(self, x):
        return super().forward(x) * 1.0


class Other(MLP):
    def forward(self, x):
        # A branch that no pass of eight images takes.
        return super().forward(x) if len(x) < 1000 else -x


def frozen(data):
    network = MLP((4, 5, 3))
    network.linear1.requires_grad_(False)
    return network


def buffered(value):
    def build(data):
        network = MLP((4, 5, 3))
        network.register_buffer("unseen", torch.full((1,), value), persistent=False)
        return network

    return build


def widened(data, *, width=5):
    return MLP((4, width, 3))


SCALE = 1.0


def scaled(data):
    network = MLP((4, 5, 3))
    return network if SCALE > 0 else network.double().float()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda data: Dropping(0.0), lambda data: Dropping(0.9)),
        (*(lambda data, p=p: Dropping(p) for p in (0.1, 0.1001)),),
        (partial(lambda p, data: Dropping(p), 0.1), partial(lambda p, data: Dropping(p), 0.1001)),
        (lambda data: MLP((4, 5, 3)), frozen),
        (buffered(1.0), buffered(2.0)),
        (widened, partial(widened, width=6)),
        (lambda data: Same((4, 5, 3)), lambda data: Other((4, 5, 3))),
        (lambda data: MLP((4, 5, 3), torch.sin), lambda data: MLP((4, 5, 3), torch.tanh)),
    ],
)  # fmt: skip
def test_what_a_builder_does_is_in_the_key(one, other):
    assert key(one) == key(one)
    assert key(one) != key(other)


class Opaque:
    """A builder of which nothing is seen but what it builds."""

    def __init__(self, build):
        self.build = build

    def __call__(self, data):
        return self.build(data)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda data: MLP((4, 5, 3)), lambda data: MLP((4, 6, 3))),
        (lambda data: MLP((4, 5, 3)), frozen),
        (buffered(1.0), buffered(2.0)),
        (lambda data: Dropping(0.0), lambda data: Dropping(0.9)),
        (lambda data: MLP((4, 5, 3), "relu"), lambda data: MLP((4, 5, 3), "tanh")),
        (lambda data: MLP((4, 5, 3), torch.tanh), lambda data: MLP((4, 5, 3), torch.relu)),
        (lambda data: nn.Linear(4, 3), lambda data: nn.Linear(4, 3).requires_grad_(False)),
    ],
    ids=["width", "frozen", "buffer", "dropout", "printed", "bent", "all frozen"],
)
def test_what_a_builder_builds_is_in_the_key(one, other):
    assert key(Opaque(one)) == key(Opaque(one)) != key(Opaque(other))


def test_a_value_that_a_builder_names_is_in_the_key(monkeypatch):
    before = key(scaled)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.0)
    assert key(scaled) != before


def test_a_docstring_of_a_builder_is_not():
    def build(data):
        """A network."""
        return MLP((4, 5, 3))

    first = key(build)

    def build(data):
        """The same network, in other words."""
        # With a comment.
        return MLP((4, 5, 3))

    assert key(build) == first


def test_a_builder_may_call_itself():
    def build(data, deep=2):
        return build(data, deep - 1) if deep else MLP((4, 5, 3))

    assert key(build) == key(build)


@pytest.mark.parametrize(
    "change",
    [
        dict(kind="memorized"),
        dict(seed=1),
        dict(labels=blobs().y_train.flip(0)),
        dict(labels=blobs().y_train[:30]),
        dict(recipe=Recipe(3, 0.1)),
        dict(recipe=Recipe(2, 0.1, schedule="cosine")),
        dict(recipe=Recipe(2, 0.1, schedule=lambda t: 1 - t)),
        dict(model="mlp"),
    ],
)
def test_each_choice_is_in_the_key(change):
    assert key(**change) == key(**change) != key()


def test_schedules_are_told_apart_by_what_they_do():
    one, other = (key(recipe=Recipe(2, 0.1, schedule=f)) for f in (lambda t: t, lambda t: 1 - t))
    assert one != other


def test_the_key_draws_nothing_from_the_global_generator():
    before = torch.random.get_rng_state()
    key(lambda data: Dropping(0.5))
    assert torch.equal(torch.random.get_rng_state(), before)
