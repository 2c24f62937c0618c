"""The reference networks: trained once, cached, shared by all chapters.

`trained` is the object of study, `trained_long` the same four times as long, `untrained` and
`memorized` are its controls, `trained_small` is the twin of the memorized network. Introduced in
the chapter `book/distances/metric_structure`.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from companion import storage
from companion.datasets import Dataset, shuffle_labels
from companion.models import MLP, LeNet
from companion.training import keys
from companion.training.fitting import accuracy, fit
from companion.training.recipe import Recipe

__all__ = ["reference", "reference_data", "reference_steps"]

KINDS = ("trained", "untrained", "memorized", "trained_small", "trained_long")
Builder = Callable[[Dataset], nn.Module]

# How many times as long as `trained`: the second length that a verdict on training is read at.
LONG = 4

# A training accuracy at which a network counts as fitted.
FITTED = 0.99


@dataclass(frozen=True)
class Row:
    """The recipes of a data set and a model.

    Args:
        trained: Of `trained`; `trained_long` takes it four times as long.
        memorized: Of `memorized` and its twin, in the order in which they are tried.
        n_memorized: How many images those two see, the first ones; None: all.
    """

    trained: Recipe
    memorized: tuple[Recipe, ...]
    n_memorized: int | None = None


def _cosine(epochs: int, lr: float) -> Recipe:
    return Recipe(epochs, lr, batch_size=100, schedule="cosine")


# Measured: shorter memorizing runs miss 0.99 in some seeds.
RECIPES: dict[tuple[str, str], Row] = {
    ("digits", "mlp"): Row(_cosine(60, 1e-3), (_cosine(200, 2e-3), _cosine(400, 2e-3))),
    ("digits", "lenet"): Row(_cosine(60, 2e-3), (_cosine(500, 2e-3), _cosine(1000, 2e-3))),
    ("mnist", "mlp"): Row(_cosine(6, 1e-3), (_cosine(80, 2e-3), _cosine(160, 2e-3)), 3000),
    ("mnist", "lenet"): Row(_cosine(6, 2e-3), (_cosine(120, 2e-3), _cosine(240, 2e-3)), 1000),
}


def _mlp(data: Dataset) -> nn.Module:
    return MLP((data.x_train[0].numel(), 256, 128, len(data.classes)))


def _linear(data: Dataset) -> nn.Module:
    return MLP((data.x_train[0].numel(), 256, 128, len(data.classes)), "identity")


def _lenet(data: Dataset) -> nn.Module:
    return LeNet(tuple(data.x_train.shape[1:]), len(data.classes))


BUILDERS: dict[str, Builder] = {"mlp": _mlp, "linear": _linear, "lenet": _lenet}


def reference(
    data: Dataset,
    kind: str = "trained",
    *,
    model: str | Builder = "mlp",
    seed: int = 0,
    step: int | str | None = None,
    recipe: Recipe | None = None,
) -> nn.Module:
    """A reference network for a data set, in evaluation mode on the device of the data.

    Args:
        data: Its training set is fitted.
        kind: `trained` on the true labels; `trained_long`, four times as many epochs;
            `untrained`, the initial weights of `trained`; `memorized`, fitted to at least 0.99 on
            labels shuffled once; `trained_small`, the twin of `memorized` with the true labels of
            the same images and otherwise the same training.
        model: "mlp" (D-256-128-C, ReLU), "linear" (the same without a nonlinearity), "lenet", or
            a function of the data set that builds a module. A part that asks for no gradient
            stays as it was built.
        seed: Of the weights, the order of the images, and the shuffled labels.
        step: One of `reference_steps`; "fitted": the end of the first epoch with a training
            accuracy of at least 0.99; None: the last.
        recipe: Replaces that of the table of this room, which has rows for the size of the digits
            (up to 5,000 training images) and for that of MNIST; every data set takes the row of
            its size. `trained_long` takes it four times as long.

    Returns:
        A module of the caller's own.

    Raises:
        ValueError: For an unknown kind or model, a step that was not kept or not reached, and a
            memorized network that stays below 0.99.

    Trained once and kept in `storage.cache()` under the checksum of `training.keys`; a file that
    is cut off or altered is made anew. Two processes that train the same network at once each
    write a whole file.

    >>> from companion import datasets
    >>> data = datasets.load("digits")
    >>> reference(data, "untrained")(data.x_test).shape
    torch.Size([450, 10])
    """
    build = _builder(model)
    network = keys.fresh(build, data, seed)
    if kind == "untrained":
        if step not in (None, 0):
            raise ValueError(
                f"Step {step} of the untrained network was not kept: it has step 0 alone; for a "
                "later step ask for the trained one."
            )
        return network.eval()
    made = _states(data, kind, model=model, seed=seed, recipe=recipe)
    states = made["states"]
    if step == "fitted":
        step = made["fitted"]
        if step is None:
            raise ValueError(
                f"The {kind} network never reached a training accuracy of {FITTED}: it has no "
                "fitted step; ask for one of reference_steps, or pass a recipe with more epochs."
            )
    step = max(states) if step is None else step
    if step not in states:
        raise ValueError(
            f"Step {step} of the {kind} network was not kept: choose one of "
            f"{', '.join(map(str, states))}, which reference_steps lists."
        )
    network.load_state_dict(states[step])
    return network.eval()


def reference_steps(
    data: Dataset,
    kind: str = "trained",
    *,
    model: str | Builder = "mlp",
    seed: int = 0,
    recipe: Recipe | None = None,
) -> tuple[int, ...]:
    """The optimizer steps at which a reference network is kept, about eight, ascending.

    Among them 0, the end of the first epoch, the end of the first epoch with a training accuracy
    of at least 0.99 (if it gets there; it depends on the seed), and the last; the others lie
    between in about equal ratios. `untrained` has step 0 alone.

    Args:
        data: As in `reference`.
        kind: As in `reference`.
        model: As in `reference`.
        seed: As in `reference`.
        recipe: As in `reference`.

    Returns:
        Whole numbers, each a `step` of `reference`.

    Raises:
        ValueError: What `reference` raises.

    >>> from companion import datasets
    >>> reference_steps(datasets.load("digits"), "untrained")
    (0,)
    """
    if kind == "untrained":
        _builder(model)
        return (0,)
    return tuple(_states(data, kind, model=model, seed=seed, recipe=recipe)["states"])


def reference_data(
    data: Dataset,
    kind: str,
    *,
    model: str | Builder = "mlp",
    seed: int = 0,
    recipe: Recipe | None = None,
) -> Dataset:
    """The data set with the training set that a reference network was fitted to.

    For `memorized` and `trained_small` these are the first images of `x_train`, where the table
    limits them (3,000 for the size of MNIST, 1,000 with "lenet"); for `memorized` with the labels
    of that seed, shuffled once.

    Args:
        data: As in `reference`.
        kind: As in `reference`.
        model: As in `reference`.
        seed: As in `reference`.
        recipe: As in `reference`; it says how long, not on how many images.

    Returns:
        The data set with another training set, or as it was.

    Raises:
        ValueError: For an unknown kind or model.

    >>> from companion import datasets
    >>> data = datasets.load("digits")
    >>> own = reference_data(data, "memorized", seed=1)
    >>> torch.equal(own.x_train, data.x_train), torch.equal(own.y_train, data.y_train)
    (True, False)
    """
    _recipes(data, kind, model, recipe)
    n = _row(data, model).n_memorized
    if kind in ("memorized", "trained_small") and n is not None and n < len(data.x_train):
        data = replace(data, x_train=data.x_train[:n], y_train=data.y_train[:n], hierarchy=None)
    return shuffle_labels(data, seed=seed) if kind == "memorized" else data


def _builder(model: str | Builder) -> Builder:
    if callable(model):
        return model
    if model not in BUILDERS:
        raise ValueError(
            f"There is no reference model {model!r}: choose one of {', '.join(BUILDERS)}, or pass "
            "a function of the data set that builds a module."
        )
    return BUILDERS[model]


def _recipes(
    data: Dataset, kind: str, model: str | Builder, recipe: Recipe | None
) -> tuple[Recipe, ...]:
    """The recipes to try, in order."""
    if kind not in KINDS:
        raise ValueError(f"There is no kind {kind!r}: choose one of {', '.join(KINDS)}.")
    row = _row(data, model)
    if kind in ("memorized", "trained_small"):
        return row.memorized if recipe is None else (recipe,)
    trained = row.trained if recipe is None else recipe
    return (replace(trained, epochs=LONG * trained.epochs) if kind == "trained_long" else trained,)


def _row(data: Dataset, model: str | Builder) -> Row:
    """That of the data set's size."""
    size = "mnist" if len(data.x_train) > 5000 else "digits"
    return RECIPES[size, "lenet" if model == "lenet" else "mlp"]


def _states(
    data: Dataset, kind: str, *, model: str | Builder, seed: int, recipe: Recipe | None
) -> dict:
    """{"states": {step: state}, "fitted": step or None, "recipe": index}, cached or made."""
    recipes = _recipes(data, kind, model, recipe)
    own = reference_data(data, kind, model=model, seed=seed, recipe=recipe)
    key = keys.key(data, own.y_train, kind, model, _builder(model), seed=seed, recipes=recipes)
    folder = storage.cache()
    # The name is for the eye and must not lead out of the folder; the key finds the file.
    name = re.sub(r"\W+", "-", data.name)[:40]
    path = None if folder is None else folder / "networks" / f"{name}-{kind}-{key[:24]}.pt"
    made = _read(path, data.x_train.device)
    if made is None:
        made = _make(data, own, kind, model=model, seed=seed, recipe=recipe)
        _write(path, made)
    return made


def _make(
    data: Dataset,
    own: Dataset,
    kind: str,
    *,
    model: str | Builder,
    seed: int,
    recipe: Recipe | None,
) -> dict:
    recipes, first = _recipes(data, kind, model, recipe), 0
    if kind == "trained_small" and len(recipes) > 1:
        # The twin is trained as the memorized network was in the end, whichever recipe that took.
        first = _states(data, "memorized", model=model, seed=seed, recipe=recipe)["recipe"]
    for index in range(first, len(recipes)):
        made = _fit(own, kind, _builder(model), seed, recipes[index])
        reached = made.pop("accuracy")
        if kind != "memorized" or reached >= FITTED:
            return {**made, "recipe": index}
    raise ValueError(
        f"The memorized network reached {reached:.3f} on its shuffled labels with every recipe: "
        f"it must reach {FITTED}, so pass a recipe with more epochs, fewer images or a wider "
        "model."
    )


def _fit(data: Dataset, kind: str, build: Builder, seed: int, recipe: Recipe) -> dict:
    model = keys.fresh(build, data, seed)
    epochs, per_epoch = recipe.epochs, recipe.steps(len(data.x_train))
    snapshots = range(0, epochs * per_epoch + 1, per_epoch)
    history = fit(model, data.x_train, data.y_train, recipe, snapshots=snapshots, seed=seed)
    fitted = (history.accuracy >= FITTED).nonzero().flatten().tolist()
    ratio = epochs ** (1 / 6)
    shares = {round(ratio**k) for k in range(7)}
    kept = {0, *shares, *(epoch + 1 for epoch in fitted[:1])} & set(range(epochs + 1))
    return {
        "states": {
            epoch * per_epoch: history.snapshots[epoch * per_epoch] for epoch in sorted(kept)
        },
        "fitted": (fitted[0] + 1) * per_epoch if fitted else None,
        "accuracy": accuracy(model, data.x_train, data.y_train),
    }


def _write(path: Path | None, made: dict) -> None:
    """The checksum of the content stands before it: a zip archive alone hides a changed byte."""
    if path is None:
        return
    buffer = io.BytesIO()
    torch.save(made, buffer)
    content = buffer.getvalue()
    try:
        with storage.written(path) as temporary:
            temporary.write_bytes(storage.checksum(content).encode() + content)
    except OSError as error:
        # The network is trained: a full disk must not lose it.
        warnings.warn(f"The network is not kept for the next run: {error}", stacklevel=2)


def _read(path: Path | None, device: torch.device) -> dict | None:
    if path is None or not path.exists():
        return None
    raw = path.read_bytes()
    if storage.checksum(raw[64:]).encode() != raw[:64]:
        return None
    return torch.load(io.BytesIO(raw[64:]), map_location=device, weights_only=True)
