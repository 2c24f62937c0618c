"""Attacks: within a budget, the change of the input that a classifier's answer stands least.

Explained in the chapter `book/distances/isometric_regularization`; done by hand in the prologue.
"""

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion import progress as bars
from companion.training.fitting import refuse_labels

__all__ = ["fgsm", "pgd"]

Loss = str | Callable[[Tensor, Tensor], Tensor]
Bounds = tuple[float | int | Tensor, float | int | Tensor]


def fgsm(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, " m"],
    *,
    eps: float | int,
    norm: str = "linf",
    loss: Loss = "cross_entropy",
    bounds: Bounds | None = None,
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, "n ..."]:
    """One step of length eps up the gradient of the loss, in units of the input.

    x + eps sign(g) for `norm="linf"`, x + eps g / |g| for "l2", cut off at `bounds`; g is the
    gradient of the loss at x, and where it is 0 the sample stays where it is. Exact where the loss
    is linear, a first look elsewhere. Arguments and errors as for `pgd`.

    `penalty(model, x, y)`, a scalar as in `training.fit`, is added to the mean of the loss: the
    attack climbs all that was trained, which is another thing than the answer. The samples of the
    call then go through together, since a penalty may compare them.

    Goodfellow, Shlens, Szegedy (2015), arXiv 1412.6572, section 4.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)
    >>> fgsm(model, torch.tensor([[0.25, 7.0]]), torch.tensor([0]), eps=0.5)
    tensor([[-0.2500,  7.0000]])
    """
    measured = _prepared(x, y, eps, norm, loss, bounds)
    clipped = _clipper(x, bounds)
    gradients = []
    with borrow.borrowed(model, x) as lent:
        for part in _chunks(x) if penalty is None else [slice(None)]:
            _, _, gradient = _look(lent, x[part], y[part], measured, penalty=penalty)
            gradients.append(gradient)
    gradient = torch.cat(gradients)
    _refuse_nan(gradient.flatten(1).isnan().any(dim=1))
    return clipped(x.detach() + eps * _steepest(gradient, norm), slice(None))


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

    x_{k+1} = P(x_k + a s_k): s_k is sign(g_k) for `norm="linf"` and g_k / |g_k| for "l2", the step
    a is `step_size` (by default 2.5 eps / steps), P brings the point back into the ball of radius
    eps around x and then between `bounds`. The start is drawn evenly from the ball, or is x. Kept
    is, per sample, the best point of all steps and restarts, x itself among them: one with another
    label than y before one without, and of two alike the one with the higher loss. So eps = 0
    gives x, and another restart never makes an answer weaker.

    `loss` is what the steps climb: "cross_entropy"; "logit_gap", max_j f_j - f_y over j != y,
    which does not flatten where the network is sure; or a function of logits (n, C) and y that
    gives one number per sample. `bounds` are two numbers, two numbers per channel (the axis after
    the samples; normalised images), or tensors that broadcast to x. The start of row k depends on
    `seed` and k alone, so that the answer for a row does not depend on the rows after it; pass a
    generator where every call shall draw others, as in `fit(perturb=...)`.

    An attack that fails proves nothing: its answer is an upper bound of the distance to another
    label. Each restart costs steps + 1 forward and steps backward passes, in chunks of about
    64 MiB; no value is read back from a device in between. The model is borrowed, also in `fit`:
    there the attack meets it in evaluation mode.

    Raises `ValueError` for eps below 0, fewer steps or restarts than 1, an unknown norm or loss,
    labels of another length or without a logit, samples outside the bounds, a loss that is not one
    number per sample, NaN at x or met on the way, and a model that answers at random; `TypeError`
    for whole numbers in x and for labels that are not int64.

    Madry et al. (2018), arXiv 1706.06083, section 2.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)      # the wall is x_0 = 0
    >>> x, y = torch.tensor([[0.25, 7.0]]), torch.tensor([0])
    >>> pgd(model, x, y, eps=0.5, random_start=False)
    tensor([[-0.2500,  7.0000]])
    """
    measured = _prepared(x, y, eps, norm, loss, bounds)
    for name, count in (("steps", steps), ("restarts", restarts)):
        if count < 1 or count % 1:
            raise ValueError(f"{name} = {count}: it counts, so pass a whole number, 1 or more.")
    length = 2.5 * eps / steps if step_size is None else step_size
    if not length >= 0:
        raise ValueError(
            f"step_size = {step_size}: a step has a length, so pass a positive number, or None "
            "for 2.5 eps / steps."
        )
    clipped = _clipper(x, bounds)
    best = x.detach().clone()
    parts = list(_chunks(x))
    total = restarts * len(parts) * steps
    with (
        borrow.borrowed(model, x) as lent,
        bars.bar(total=total, label="pgd", unit="step") as bar,
    ):
        standing = [_look(lent, x[part], y[part], measured, climb=False)[:2] for part in parts]
        nan = torch.cat([value.isnan() for value, _ in standing])
        _refuse_nan(nan)
        for generator in _generators(seed, restarts):
            start = torch.zeros_like(best)
            if random_start:
                start = eps * _in_unit_ball(x, norm, generator)
            for k, part in enumerate(parts):
                here, labels = x[part].detach(), y[part]
                record, (value, wrong) = best[part], standing[k]
                at = clipped(here + start[part], part)
                for step in range(steps + 1):
                    now, other, gradient = _look(lent, at, labels, measured, climb=step < steps)
                    nan[part] |= now.isnan()
                    better = (other & ~wrong) | ((other == wrong) & (now > value))
                    record = at.where(_wide(better, at), record)
                    value, wrong = now.where(better, value), other | wrong
                    if step < steps:
                        away = at + length * _steepest(gradient, norm) - here
                        at = clipped(here + _projected(away, eps, norm), part)
                        bar.update()
                best[part], standing[k] = record, (value, wrong)
    _refuse_nan(nan)
    return best


def _look(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    climb: bool = True,
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
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


def _wide(per_sample: Tensor, x: Tensor) -> Tensor:
    return per_sample.view(-1, *[1] * (x.ndim - 1))


def _length(x: Tensor) -> Tensor:
    return _wide(torch.linalg.vector_norm(x.flatten(1), dim=1), x)


def _steepest(gradient: Tensor, norm: str) -> Tensor:
    """The direction of length 1 in which the loss grows fastest; 0 where the gradient is."""
    if norm == "linf":
        return gradient.sign()
    length = _length(gradient)
    return gradient / length.masked_fill(length == 0, 1)


def _projected(delta: Tensor, eps: float | int, norm: str) -> Tensor:
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = _length(delta)
    return delta * (eps / length.clamp(min=torch.finfo(length.dtype).tiny)).clamp(max=1)


def _generators(seed: int | torch.Generator, restarts: int) -> list[torch.Generator]:
    """One for each restart, so that no start depends on how many samples or restarts there are."""
    if not isinstance(seed, torch.Generator):
        seed = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (restarts,), generator=seed, device=seed.device)
    # On the CPU, so that every device starts from the same points.
    return [torch.Generator().manual_seed(number) for number in seeds.tolist()]


def _in_unit_ball(x: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """One point per sample, drawn evenly from the ball of radius 1 around 0."""
    n, dim = len(x), x[0].numel()
    if norm == "linf":
        point = 2 * torch.rand(n, dim, generator=generator, dtype=x.dtype) - 1
    else:
        # Even on the sphere in dim + 2 dimensions is even in the ball of its first dim axes. The
        # rows are drawn by sixteens, the block of torch's normal numbers, and the rest left over.
        rows = -(-n // 16) * 16
        point = torch.randn(rows, dim + 2, generator=generator, dtype=x.dtype)[:n]
        point = (point / _length(point))[:, :dim]
    return point.reshape(x.shape).to(x.device)


def _chunks(x: Tensor) -> Iterator[slice]:
    # Layers are wider than the input, and the backward pass keeps them.
    size = borrow.chunks(len(x), 2 * 16 * x[0].numel())
    return (slice(start, start + size) for start in range(0, len(x), size))


def _logit_gap(logits: Tensor, y: Tensor) -> Tensor:
    own = logits.gather(1, y[:, None])
    return logits.scatter(1, y[:, None], -torch.inf).amax(dim=1) - own.squeeze(1)


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(logits, y, reduction="none")


LOSSES = {"cross_entropy": _cross_entropy, "logit_gap": _logit_gap}


def _prepared(
    x: Tensor, y: Tensor, eps: float | int, norm: str, loss: Loss, bounds: Bounds | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss as a function that checks what it gives; refuses what no attack can begin with."""
    if not 0 <= eps < math.inf:
        raise ValueError(f"eps = {eps}: a budget is a length, so pass a number, 0 or more.")
    if norm not in ("l2", "linf"):
        raise ValueError(f"There is no norm {norm!r} here: choose 'l2' or 'linf'.")
    if len(x) == 0 or y.shape != x.shape[:1]:
        raise ValueError(
            f"x has {len(x)} samples and y has shape {tuple(y.shape)}: an attack needs samples "
            "and one label for each, so pass as many labels as rows of x."
        )
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}: an attack takes small steps, so pass x.float().")
    if y.dtype != torch.int64:
        raise TypeError(f"y is {y.dtype}: labels must be int64 class numbers; pass y.long().")
    if not callable(loss) and loss not in LOSSES:
        raise ValueError(
            f"There is no loss {loss!r} here: choose one of {', '.join(LOSSES)}, or pass a "
            "function of logits and labels."
        )
    _refuse_outside(x, bounds)
    given = loss if callable(loss) else LOSSES[loss]

    def measured(logits: Tensor, y: Tensor) -> Tensor:
        if logits.ndim != 2:
            raise ValueError(
                f"The model answers with shape {tuple(logits.shape)}: an attack needs one row of "
                "logits per sample, (n, C)."
            )
        refuse_labels(y, logits)
        value = given(logits, y)
        if value.shape != y.shape:
            raise ValueError(
                f"The loss has shape {tuple(value.shape)} for {len(y)} samples: each is attacked "
                "by itself, so give one number per sample (reduction='none')."
            )
        return value

    return measured


def _clipper(x: Tensor, bounds: Bounds | None) -> Callable[[Tensor, slice], Tensor]:
    """The function that brings points for x[part] between the bounds."""
    if bounds is None:
        return lambda point, part: point
    if not any(isinstance(end, Tensor) for end in bounds):
        # Six times as fast as with tensors.
        return lambda point, part: point.clamp(*bounds)
    low, high = (torch.as_tensor(end, dtype=x.dtype, device=x.device) for end in bounds)
    try:
        low, high = (_per_channel(end, x).expand_as(x) for end in (low, high))
    except RuntimeError:
        raise ValueError(
            f"Bounds of shape {tuple(low.shape)} and {tuple(high.shape)} do not fit x of shape "
            f"{tuple(x.shape)}: pass two numbers, or one for each channel."
        ) from None
    return lambda point, part: point.clamp(low[part], high[part])


def _per_channel(end: Tensor, x: Tensor) -> Tensor:
    return end.view(-1, *[1] * (x.ndim - 2)) if end.ndim == 1 else end


def _refuse_outside(x: Tensor, bounds: Bounds | None) -> None:
    if bounds is None or x.is_meta:
        return
    inside = _clipper(x, bounds)(x, slice(None))
    outside = int(((inside < x) | (inside > x)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {x.numel()} values of x lie outside the bounds, between "
            f"{x.min():.4g} and {x.max():.4g}: an attack would move them in for free, so pass "
            "the bounds of the data, (0, 1) for images."
        )


def _refuse_nan(nan: Tensor) -> None:
    if not nan.is_meta and nan.any():
        raise ValueError(
            f"The loss or its gradient is NaN for {int(nan.sum())} of {len(nan)} samples, at x or "
            "within eps of it: an attack climbs numbers, so check the model, the loss and x."
        )
