"""Checks of the exercises of `book/distances/stacked_isometric_layers`.

Each tries the reader's function on labels or blocks whose geometry is known, says what is wrong
with it, and never the answer.
"""

__all__ = ["frozen_step", "later_ceiling", "nested_labels", "tree_distance"]

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from companion.book.exercises.answers import (
    Answer,
    Stopped,
    answering,
    attempted,
    not_right,
    number,
    shaped,
)


@answering
def nested_labels(solution: Callable[[Tensor, Tensor], bool] | None) -> Answer:
    """Check a function of labels coarse (n,) and fine (n,) that returns True or False.

    True: every fine label lies within one coarse label. Tried on nested labels, also with as many
    coarse labels as fine ones, in no order, and with numbers left out, and on labels that cross.

    >>> nested_labels(lambda coarse, fine: None)
    not attempted yet
    >>> nested_labels(lambda coarse, fine: True)
    A fine label lies in two coarse ones, and you found it nested: whoever has chosen a side at the
    first cut cannot take its other part back.
    """
    attempt = attempted(solution)
    for coarse, fine, nested, sentence in _hierarchies():
        given = _truth(attempt(coarse.clone(), fine.clone()))
        if given != nested:
            return not_right(sentence)
    return Answer(True, "Right: each fine label is asked where it lies, and nothing else is.")


@answering
def later_ceiling(solution: Callable[[Tensor, Tensor], float] | None) -> Answer:
    """Check a function of z (n, d) and labels y (n,) that returns an accuracy.

    The highest that any function of z can have; equal rows of z get equal answers. Tried where
    all rows differ, where all are equal, and where places hold several labels; tolerance 1e-6.

    >>> later_ceiling(lambda z, y: None)
    not attempted yet
    >>> later_ceiling(lambda z, y: 1.0)
    Two points at one place get one answer, whatever stands above: they cannot both be right ...
    """
    attempt = attempted(solution)
    for z, y in _crushed():
        given = number(
            attempt(z.clone(), y.clone()),
            what="an accuracy",
            nan="count points, and divide by how many there are.",
        )
        if abs(given - _ceiling(z, y)) > 1e-6:
            return not_right(_ceiling_sentence(given, z, y))
    return Answer(True, "Right: one answer for each place, and the best one.")


@answering
def frozen_step(solution: Callable[..., object] | None) -> Answer:
    """Check a function of two blocks, a readout, an Adam, x (n, d) and labels y (n,): one step.

    The step must move the upper block and the readout as Adam does along the cross-entropy, and
    the lower block not at all. Adam has taken steps on all three before, and the gradients of the
    last one are still there. What the function returns does not matter, as long as it returns
    something.

    >>> frozen_step(lambda lower, upper, readout, optimizer, x, y: None)
    not attempted yet
    >>> frozen_step(lambda lower, upper, readout, optimizer, x, y: optimizer.step())
    The lower block moved along a gradient that was still there from the step before: clear ...
    """
    attempt = attempted(solution)
    modules, optimizer, x, y = _trained_before()
    aim, right = _trained_before()[:2], _trained_before()[:2]
    _one_step(*aim, x, y, frozen=False)
    _one_step(*right, x, y, frozen=True)
    before = [_weights(module) for module in modules]
    try:
        attempt(*modules, optimizer, x.clone(), y.clone())
    except Stopped as stopped:
        # A step whose author returned nothing is a step all the same.
        if stopped.answer.right is False or _same(before, modules):
            raise
    wrong = _wrong_step(before, modules, aim[0], right[0])
    if wrong:
        return not_right(wrong)
    return Answer(True, "Right: the lower block stands still, and the upper one has learned.")


@answering
def tree_distance(solution: Callable[[Tensor], Tensor] | None) -> Answer:
    """Check a function of leaves at levels (C, L), coarse first, that returns distances (C, C).

    The number of edges on the shortest path between two leaves, in the tree with a root above the
    coarsest level. Tried on the eighths of a torus and on a hierarchy whose branches have
    different sizes and whose labels stand in no order.

    >>> tree_distance(lambda hierarchy: None)
    not attempted yet
    >>> tree_distance(lambda hierarchy: (hierarchy[:, None] != hierarchy).sum(dim=2))
    Two leaves of one branch came out at 1: a path climbs to the label they share and down again.
    """
    attempt = attempted(solution)
    for hierarchy in _trees():
        leaves = len(hierarchy)
        given = shaped(
            attempt(hierarchy.clone()),
            (leaves, leaves),
            kind="the distances of all leaves belong into a tensor.",
            meaning=f"There are {leaves} leaves and one distance for each two of them; your "
            "answer has shape {shape}.",
        )
        wrong = _wrong_tree(given, hierarchy)
        if wrong:
            return not_right(wrong)
    return Answer(True, "Right: up to the lowest label that both share, and down again.")


# Nested labels


def _hierarchies() -> list[tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], bool, str]]:
    digits = torch.arange(10)
    halves, pairs = digits // 5, digits // 2
    # Shuffled, with numbers left out: 3 within 7, 9 and 0 within 2.
    fine = torch.tensor([9, 3, 0, 9, 3, 0, 9])
    coarse = torch.tensor([2, 7, 2, 2, 7, 2, 2])
    return [
        (
            halves,
            digits,
            True,
            "Each fine label lies in one coarse label, and you found it not nested: a coarse "
            "label may hold as many fine ones as it likes, not the other way round.",
        ),
        (
            halves,
            pairs,
            False,
            "A fine label lies in two coarse ones, and you found it nested: whoever has chosen a "
            "side at the first cut cannot take its other part back.",
        ),
        (
            digits,
            halves,
            False,
            "Here the second level is the coarser one, and you found it nested: who lies within "
            "whom is a question with a direction.",
        ),
        (
            coarse,
            fine,
            True,
            "Nested labels in another order, with numbers left out, you found not nested: the "
            "number of a label is a name, neither a place nor a size.",
        ),
        (
            torch.tensor([0, 1, 0, 1, 0]),
            torch.tensor([0, 0, 1, 1, 2]),
            False,
            "More labels than above do not make a level finer: here two of three cross the first "
            "cut, and you found it nested.",
        ),
        (
            torch.tensor([1, 0, 2]),
            torch.tensor([0, 1, 2]),
            True,
            "Two levels with the same classes under other names are nested: the finer cut may be "
            "no cut at all.",
        ),
    ]


def _truth(found: object) -> bool:
    """The one truth value in what a reader returned."""
    size = found.numel() if isinstance(found, Tensor) else np.size(found)
    value = found.item() if size == 1 and hasattr(found, "item") else found
    if not isinstance(value, bool | int) or value not in (0, 1):
        raise Stopped(not_right(
            f"Your function returned a {type(found).__name__} with {size} entries; whether a "
            "hierarchy is nested is one answer, True or False."
        ))
    return bool(value)


# The ceiling


def _crushed() -> list[tuple[Float[Tensor, "n d"], Int64[Tensor, " n"]]]:
    place = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])
    spots = torch.tensor([[0.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    return [
        (spots, torch.tensor([0, 1, 0])),
        (spots[place], torch.tensor([0, 0, 1, 1, 1, 1, 0, 2])),
        (spots[[1, 1, 1, 1, 1]], torch.tensor([0, 2, 2, 1, 2])),
    ]


def _ceiling(z: Tensor, y: Tensor) -> float:
    _, place = z.unique(dim=0, return_inverse=True)
    counts = nn.functional.one_hot(place).T @ nn.functional.one_hot(y)
    return float(counts.amax(dim=1).sum()) / len(y)


def _ceiling_sentence(given: float, z: Tensor, y: Tensor) -> str:
    n, places = len(y), len(z.unique(dim=0))
    if not 0 <= given <= 1:
        return f"An accuracy is a share of the points, from 0 to 1; yours is {given:.4g}."
    if abs(given - places / n) < 1e-6:
        return (
            "You counted places: one point of each place can be right, but so can all others "
            "there with the same label."
        )
    if abs(given - float(y.bincount().max()) / n) < 1e-6:
        return (
            "You gave one answer to all points; a later block may give another one at each place."
        )
    if given > _ceiling(z, y):
        return (
            "Two points at one place get one answer, whatever stands above: they cannot both be "
            "right with different labels."
        )
    return (
        f"A later block can do better than your {given:.4g}: at every place it may give the "
        "answer that suits most points there."
    )


# The step

Modules = tuple[nn.Module, nn.Module, nn.Module]


def _trained_before() -> tuple[Modules, torch.optim.Adam, Tensor, Tensor]:
    """Two blocks, a readout and an Adam with a past; the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lower = nn.Sequential(nn.Linear(3, 6), nn.Tanh())
        upper = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        readout = nn.Linear(6, 4)
        x = torch.randn(24, 3)
    y = torch.arange(24) % 4
    modules = lower.double(), upper.double(), readout.double()
    optimizer = torch.optim.Adam(
        [weight for module in modules for weight in module.parameters()], lr=0.01
    )
    for _ in range(3):
        _one_step(modules, optimizer, x.double(), y, frozen=False)
    return modules, optimizer, x.double(), y


def _one_step(
    modules: Modules, optimizer: torch.optim.Adam, x: Tensor, y: Tensor, *, frozen: bool
) -> None:
    lower, upper, readout = modules
    below = lower(x).detach() if frozen else lower(x)
    loss = nn.functional.cross_entropy(readout(upper(below)), y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _weights(module: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in module.parameters()]


def _same(
    before: list[list[Tensor]], modules: Sequence[nn.Module], *, tolerance: float = 0.0
) -> bool:
    return all(
        bool((old - new).abs().max() <= tolerance)
        for weights, module in zip(before, modules, strict=True)
        for old, new in zip(weights, _weights(module), strict=True)
    )


def _wrong_step(
    before: list[list[Tensor]], modules: Modules, aim: Modules, right: Modules
) -> str | None:
    moved = [not _same(before[k : k + 1], modules[k : k + 1]) for k in range(3)]
    if moved[0]:
        left = [weight.grad for weight in modules[0].parameters()]
        if any(gradient is not None and gradient.any() for gradient in left):
            if _same([_weights(aim[0])], modules[:1], tolerance=1e-6):
                return (
                    "The lower block followed the gradient of your loss: its place in the space "
                    "below moved for the sake of this level."
                )
            return (
                "The lower block moved along a gradient that was still there from the step "
                "before: clear what was left behind."
            )
        return (
            "No gradient of your loss reached the lower block, and it moved all the same: an "
            "optimiser remembers, and a gradient of zero does not stop it."
        )
    if not moved[1]:
        return (
            "The lower block stands still, and so does the upper one: you cut the gradient off "
            "above it, so the level cannot learn."
        )
    if not moved[2]:
        return "The readout did not move: this level is read through it."
    if any(
        not _same([_weights(right[k])], modules[k : k + 1], tolerance=1e-6) for k in (1, 2)
    ):
        return (
            "The lower block stands still, but the others moved along another direction than the "
            "cross-entropy of these labels: take one step, with gradients of this loss alone."
        )
    return None


# The tree


def _trees() -> list[Int64[Tensor, "leaves levels"]]:
    eighths = torch.arange(8)
    # Branches of 1, 2 and 4 leaves, in no order; labels that agree in number only.
    uneven = torch.tensor([[2, 0, 4], [0, 3, 1], [2, 1, 0], [1, 2, 6], [2, 0, 2], [0, 3, 5],
                           [2, 1, 3]])
    return [torch.stack([eighths // 4, eighths // 2, eighths], dim=1), uneven]


def _wrong_tree(given: Tensor, hierarchy: Tensor) -> str | None:
    right = 2.0 * (hierarchy[:, None] != hierarchy[None]).sum(dim=2)
    right = right.to(given.dtype)
    if torch.allclose(given, right, atol=1e-6):
        return None
    coarse = hierarchy[:, 0]
    apart = coarse[:, None] != coarse
    inside = ~apart & ~torch.eye(len(coarse), dtype=torch.bool)
    if not given.isfinite().all() or (given[apart] > given.numel()).any():
        return (
            "Two leaves of different coarse labels came out infinitely far apart: their branches "
            "have to meet above."
        )
    if (given.diagonal() != 0).any():
        return "A leaf is at distance 0 from itself: no edge leads from it to where it is."
    if torch.allclose(given, right / 2, atol=1e-6):
        return (
            f"Two leaves of one branch came out at {given[inside].min():.3g}: a path climbs to "
            "the label they share and down again."
        )
    if not torch.allclose(given, given.T):
        return "The way back has as many edges as the way there; your matrix is not symmetric."
    if torch.allclose(given[inside], right[inside], atol=1e-6):
        return (
            f"Within a branch you are right, across the first cut {given[apart].max():.3g} edges "
            "do not lead from leaf to leaf: every path there goes through the root."
        )
    if torch.allclose(given, (right - 2).clamp(min=0), atol=1e-6):
        return (
            "Two different leaves came out at distance 0: the lowest label they share lies above "
            "them, not at them."
        )
    return (
        "Draw the tree of the first four leaves and count edges: a label is a node, and a leaf "
        "hangs below it by one edge."
    )
