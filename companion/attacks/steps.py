"""Attacks by steps up the gradient of a loss: one, or many."""

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion import progress as bars
from companion.attacks.ball import (
    Bounds,
    ball,
    ends,
    in_unit_ball,
    refuse_outside,
    steepest,
)
from companion.decision import logit_gap
from companion.decision.samples import with_axes_of
from companion.training.fitting import refuse_labels

__all__ = ["LOSSES", "fgsm", "pgd"]

Loss = str | Callable[[Tensor, Tensor], Tensor]
Measure = Callable[[Tensor, Tensor], Tensor]
Penalty = Callable[[nn.Module, Tensor, Tensor], Tensor]


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(logits, y, reduction="none")


LOSSES = {"cross_entropy": _cross_entropy, "logit_gap": logit_gap}


def fgsm(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, " m"],
    *,
    eps: float | int,
    norm: str = "linf",
    loss: Loss = "cross_entropy",
    bounds: Bounds | None = None,
    penalty: Penalty | None = None,
) -> Float[Tensor, "n ..."]:
    """One step of length eps up the gradient of the loss, in units of the input.

    x + eps sign(g) for `norm="linf"`, x + eps g / |g| for "l2", cut off at `bounds`; g is the
    gradient of the loss at x, and where it is 0 the sample stays where it is. Exact where the loss
    is linear, a first look elsewhere. What is returned lies within eps of x, as for `pgd`.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point, within the bounds.
        y: Labels (n,), int64: the answers to be changed.
        eps: The budget, a length in units of the input.
        norm: "linf" (the default), the largest change of a coordinate, or "l2".
        loss: What the step climbs, as for `pgd`; by default the cross-entropy.
        bounds: The smallest and the largest value, as for `pgd`; by default None: no bounds.
        penalty: `penalty(model, x, y)`, a scalar as in `training.fit`, added to the mean of the
            loss: the attack climbs all that was trained, which is another thing than the answer.
            The samples then go through together, since a penalty may compare them.

    Returns:
        One input per sample, of the shape of x.

    Raises:
        ValueError: As `pgd`.
        TypeError: As `pgd`.

    Source: Goodfellow, Shlens, Szegedy (2015), arXiv 1412.6572, section 4.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)
    >>> fgsm(model, torch.tensor([[0.25, 7.0]]), torch.tensor([0]), eps=0.5)
    tensor([[-0.2500,  7.0000]])
    """
    _refuse(x, y, eps, norm)
    measured, box = _measure(loss), ends(x, bounds)
    refuse_outside(x, box)
    gradients = []
    with borrow.borrowed(model, x) as lent:
        for part in _chunks(x) if penalty is None else [slice(None)]:
            _, _, gradient = _look(lent, x[part], y[part], measured, penalty=penalty)
            gradients.append(gradient)
    gradient = torch.cat(gradients)
    _refuse_nan(gradient.flatten(1).isnan().any(dim=1))
    x = x.detach()
    return ball(x, eps, norm, box)(x + eps * steepest(gradient, norm))


def pgd(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, " m"],
    *,
    eps: float | int,
    norm: str = "l2",
    steps: int = 40,
    step_size: float | int | None = None,
    random_start: bool = True,
    restarts: int = 1,
    loss: Loss = "cross_entropy",
    bounds: Bounds | None = None,
    seed: int | torch.Generator = 0,
) -> Float[Tensor, "n ..."]:
    """The worst input found within eps of each sample, by steps up the gradient of the loss.

    x_{k+1} = P(x_k + a s_k): s_k is sign(g_k) for `norm="linf"` and g_k / |g_k| for "l2", P brings
    the point back into the ball of radius eps around x and then between `bounds`. The start is
    drawn evenly from the ball, or is x. Kept is, per sample, the best point of all steps and
    restarts, x itself among them: one with another label than y before one without, and of two
    alike the one with the higher loss. So eps = 0 gives x, and another restart never makes an
    answer weaker.

    What is returned lies within eps of x whatever the dtype: for "linf" in exact arithmetic, for
    "l2" as its length comes out in float64.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed, also in
            `fit`: there the attack meets it in evaluation mode.
        x: Samples (n, ...), floating point, within the bounds.
        y: Labels (n,), int64: the answers to be changed.
        eps: The budget, a length in units of the input.
        norm: "l2" (the default), or "linf", the largest change of a coordinate.
        steps: How many steps; by default 40.
        step_size: The length a of a step, in units of the input; by default 2.5 eps / steps.
        random_start: Whether the start is drawn (the default) or is x.
        restarts: How many starts; by default 1.
        loss: What the steps climb: "cross_entropy" (the default); "logit_gap", which does not
            flatten where the network is sure (`decision.logit_gap`); or a function of logits
            (n, C) and y that gives one number per sample.
        bounds: The smallest and the largest value: two numbers, two numbers per channel (the axis
            after the samples; normalised images), or tensors that broadcast to x; by default None.
        seed: A number, with which the start of row k depends on `seed` and k alone, so that the
            answer for a row does not depend on the rows after it; or a generator where every call
            shall draw others, as in `fit(perturb=...)`.

    Returns:
        One input per sample, of the shape of x.

    Raises:
        ValueError: For eps below 0, fewer steps or restarts than 1, an unknown norm or loss,
            labels of another shape or without a logit, samples outside the bounds, fewer than two
            logits, a loss that is not one number per sample, NaN at x or met on the way, and a
            model that answers at random.
        TypeError: For x that is no floating-point tensor and for labels that are not int64.

    An attack that fails proves nothing: its answer is an upper bound of the distance to another
    label. Cost: steps + 1 forward and steps backward passes per restart, in chunks of about 64
    MiB; no value is read back from a device in between.
    Source: Madry et al. (2018), arXiv 1706.06083, section 2.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)      # the wall is x_0 = 0
    >>> x, y = torch.tensor([[0.25, 7.0]]), torch.tensor([0])
    >>> pgd(model, x, y, eps=0.5, random_start=False)
    tensor([[-0.2500,  7.0000]])
    """
    _refuse(x, y, eps, norm)
    measured, box = _measure(loss), ends(x, bounds)
    refuse_outside(x, box)
    length = _step_size(eps, steps, restarts, step_size)
    x, parts = x.detach(), list(_chunks(x))
    with (
        borrow.borrowed(model, x) as lent,
        bars.bar(total=restarts * len(parts) * steps, label="pgd", unit="step") as bar,
    ):
        looks = [_look(lent, x[part], y[part], measured, climb=False)[:2] for part in parts]
        _refuse_nan(torch.cat([value.isnan() for value, _ in looks]))
        bests = [_Best(x[part], *look) for part, look in zip(parts, looks, strict=True)]
        for generator in _generators(seed, restarts):
            start = in_unit_ball(x, norm, generator) if random_start else torch.zeros_like(x)
            for part, best in zip(parts, bests, strict=True):
                within = ball(x[part], eps, norm, (_cut(box[0], part), _cut(box[1], part)))
                at = within(x[part] + eps * start[part])
                for _ in range(steps):
                    value, wrong, gradient = _look(lent, at, y[part], measured)
                    best.meet(at, value, wrong)
                    at = within(at + length * steepest(gradient, norm))
                    bar.update()
                best.meet(at, *_look(lent, at, y[part], measured, climb=False)[:2])
    _refuse_nan(torch.cat([best.nan for best in bests]))
    return torch.cat([best.point for best in bests])


class _Best:
    """The best point met so far of each sample of a chunk."""

    def __init__(self, point: Tensor, value: Tensor, wrong: Tensor) -> None:
        self.point, self.value, self.wrong = point, value, wrong
        self.nan = torch.zeros_like(wrong)

    def meet(self, point: Tensor, value: Tensor, wrong: Tensor) -> None:
        self.nan = self.nan | value.isnan()
        better = (wrong & ~self.wrong) | ((wrong == self.wrong) & (value > self.value))
        self.point = point.where(with_axes_of(better, point), self.point)
        self.value, self.wrong = value.where(better, self.value), wrong | self.wrong


def _look(
    model: Callable,
    x: Tensor,
    y: Tensor,
    loss: Measure,
    *,
    climb: bool = True,
    penalty: Penalty | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Per sample the loss, whether the label is not y, and the gradient of the loss if asked."""
    x = x.detach().requires_grad_(climb)
    with torch.set_grad_enabled(climb):
        logits = model(x)
        value = loss(logits, y)
        # n times the mean, so that a sample's gradient does not shrink with the samples beside it.
        total = value.sum() if penalty is None else value.sum() + len(x) * penalty(model, x, y)
    gradient = torch.autograd.grad(total, x)[0] if climb else None
    return value.detach(), logits.detach().argmax(dim=1) != y, gradient


def _generators(seed: int | torch.Generator, restarts: int) -> list[torch.Generator]:
    """One for each restart, so that no start depends on how many samples or restarts there are."""
    if not isinstance(seed, torch.Generator):
        seed = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (restarts,), generator=seed, device=seed.device)
    # On the CPU, so that every device starts from the same points.
    return [torch.Generator().manual_seed(number) for number in seeds.tolist()]


def _chunks(x: Tensor) -> Iterator[slice]:
    # Layers are wider than the input, and the backward pass keeps them.
    size = borrow.chunks(len(x), 2 * 16 * x[0].numel())
    return (slice(start, start + size) for start in range(0, len(x), size))


def _cut(end: float | int | Tensor, part: slice) -> float | int | Tensor:
    return end[part] if isinstance(end, Tensor) else end


def _step_size(
    eps: float | int, steps: int, restarts: int, step_size: float | int | None
) -> float | int:
    for name, count in (("steps", steps), ("restarts", restarts)):
        if count < 1 or count % 1:
            raise ValueError(f"{name} = {count}: it counts, so pass a whole number, 1 or more.")
    length = 2.5 * eps / steps if step_size is None else step_size
    if not length >= 0:
        raise ValueError(
            f"step_size = {step_size}: a step has a length, so pass a positive number, or None "
            "for 2.5 eps / steps."
        )
    return length


def _refuse(x: Tensor, y: Tensor, eps: float | int, norm: str) -> None:
    for name, given in (("x", x), ("y", y)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name} is a {type(given).__name__}: pass a tensor, torch.as_tensor.")
    if not 0 <= eps < math.inf:
        raise ValueError(f"eps = {eps}: a budget is a length, so pass a number, 0 or more.")
    if norm not in ("l2", "linf"):
        raise ValueError(f"There is no norm {norm!r} here: choose 'l2' or 'linf'.")
    if x.ndim == 0 or len(x) == 0 or y.shape != x.shape[:1]:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}: an attack needs samples and "
            "one label for each, so pass as many labels as rows of x, in one axis."
        )
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}: an attack takes small steps, so pass x.float().")
    if y.dtype != torch.int64:
        raise TypeError(f"y is {y.dtype}: labels must be int64 class numbers; pass y.long().")


def _measure(loss: Loss) -> Measure:
    """The loss as a function that checks what it is given and what it gives."""
    if not callable(loss) and loss not in LOSSES:
        raise ValueError(
            f"There is no loss {loss!r} here: choose one of {', '.join(LOSSES)}, or pass a "
            "function of logits and labels."
        )
    given = loss if callable(loss) else LOSSES[loss]

    def measured(logits: Tensor, y: Tensor) -> Tensor:
        borrow.refuse_logits(logits)
        refuse_labels(y, logits)
        value = given(logits, y)
        if value.shape != y.shape:
            raise ValueError(
                f"The loss has shape {tuple(value.shape)} for {len(y)} samples: each is attacked "
                "by itself, so give one number per sample (reduction='none')."
            )
        return value

    return measured


def _refuse_nan(nan: Tensor) -> None:
    if not nan.is_meta and nan.any():
        raise ValueError(
            f"The loss or its gradient is NaN for {int(nan.sum())} of {len(nan)} samples, at x or "
            "within eps of it: an attack climbs numbers, so check the model, the loss and x."
        )
