"""One step of training above a block that stands still: one exercise.

Explained in `book/distances/stacked_isometric_layers`.
"""

__all__ = ["frozen_step"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from companion.book.exercises.answers import Stopped
from companion.book.exercises.exercise import Exercise, Mistake

Modules = tuple[nn.Module, nn.Module, nn.Module]


class _Step(NamedTuple):
    """What a step did to the lower block, the upper block and the readout."""

    moved: tuple[bool, ...]
    pushed: bool  # a gradient that is not 0 stands in the lower block
    followed: bool  # the lower block went where the gradient of this loss leads
    astray: bool  # the others did not go where it leads


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
    weights = [weight for module in modules for weight in module.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    for _ in range(3):
        _one_step(*modules, optimizer, x.double(), y, detach=False)
    return modules, optimizer, x.double(), y


def _one_step(
    lower: nn.Module, upper: nn.Module, readout: nn.Module, optimizer: torch.optim.Optimizer,
    x: Tensor, y: Tensor, *, detach: bool = True, cut: bool = False, clear: bool | None = True,
) -> float:
    """`clear`: gradients to None, to zero (False), or not at all (None); `cut`: above `upper`."""
    z = upper(lower(x).detach() if detach else lower(x))
    loss = cross_entropy(readout(z.detach() if cut else z), y)
    if clear is not None:
        optimizer.zero_grad(set_to_none=clear)
    loss.backward()
    optimizer.step()
    return loss.item()


def _without_the_readout(lower, upper, readout, *rest) -> float:
    readout.requires_grad_(False)
    return _one_step(lower, upper, readout, *rest)


def _with_a_new_optimizer(lower, upper, readout, optimizer, x, y) -> float:
    new = torch.optim.Adam([*upper.parameters(), *readout.parameters()], lr=0.01)
    return _one_step(lower, upper, readout, new, x, y)


def _stepped(attempt: Callable) -> _Step:
    (start, *_), (aim, *led), (right, *held) = (_trained_before() for _ in range(3))
    _one_step(*aim, *led, detach=False)
    _one_step(*right, *held)
    modules, optimizer, x, y = _trained_before()
    try:
        attempt(*modules, optimizer, x, y)
    except Stopped as stopped:
        # A step whose author returned nothing is a step all the same.
        if stopped.answer.right is False or all(map(_same, start, modules)):
            raise
    left = [weight.grad for weight in modules[0].parameters()]
    return _Step(
        moved=tuple(not same for same in map(_same, start, modules)),
        pushed=any(gradient is not None and bool(gradient.any()) for gradient in left),
        followed=_same(aim[0], modules[0], tolerance=1e-6),
        astray=not all(_same(right[k], modules[k], tolerance=1e-6) for k in (1, 2)),
    )


def _same(module: nn.Module, other: nn.Module, *, tolerance: float = 0.0) -> bool:
    pairs = zip(module.parameters(), other.parameters(), strict=True)
    return all(bool((old - new).abs().max() <= tolerance) for old, new in pairs)


frozen_step = Exercise(
    """Check a function of two blocks, a readout, an Adam, x (n, d) and labels y (n,): one step.

    The step must move the upper block and the readout as Adam does along the cross-entropy, and
    the lower block not at all. Adam has taken steps on all three before, and the gradients of the
    last one are still there. What the function returns does not matter, as long as it returns
    something.

    >>> frozen_step(lambda lower, upper, readout, optimizer, x, y: optimizer.step())
    The lower block moved along a gradient that was still there from the step before: clear ...
    """,
    cases=lambda: [()],
    returns=lambda found, *_: found,
    tries=_stepped,
    right=_one_step,
    praise="Right: the lower block stands still, and the upper one has learned.",
    mistakes=(
        Mistake(
            "The lower block followed the gradient of your loss: its place in the space below "
            "moved for the sake of this level.",
            lambda *case: _one_step(*case, detach=False),
            when=lambda step: step.moved[0] and step.pushed and step.followed,
        ),
        Mistake(
            "The lower block moved along a gradient that was still there from the step before: "
            "clear what was left behind.",
            (lambda *case: _one_step(*case, clear=None), lambda *case: case[3].step()),
            when=lambda step: step.moved[0] and step.pushed,
        ),
        Mistake(
            "No gradient of your loss reached the lower block, and it moved all the same: an "
            "optimiser remembers, and a gradient of zero does not stop it.",
            lambda *case: _one_step(*case, clear=False),
            when=lambda step: step.moved[0],
        ),
        Mistake(
            "The lower block stands still, and so does the upper one: you cut the gradient off "
            "above it, so the level cannot learn.",
            (lambda *case: _one_step(*case, cut=True), lambda *case: 1.0),
            when=lambda step: not step.moved[1],
        ),
        Mistake(
            "The readout did not move: this level is read through it.",
            _without_the_readout,
            when=lambda step: not step.moved[2],
        ),
        Mistake(
            "The lower block stands still, but the others moved along another direction than the "
            "cross-entropy of these labels: take one step, with gradients of this loss alone.",
            (lambda *case: _one_step(*case[:5], 0 * case[5]), _with_a_new_optimizer),
            when=lambda step: step.astray,
        ),
    ),
    otherwise=None,
)

__test__ = {name: globals()[name].asks for name in __all__}
