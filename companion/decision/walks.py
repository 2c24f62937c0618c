"""How far one walks before the answer changes: along a given direction, and the shortest found."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import borrow
from companion.decision.function import DecisionFunction
from companion.decision.gaps import logit_gaps
from companion.decision.samples import length_of, with_axes_of

__all__ = ["linear_line", "linear_walk", "shortest_walk", "walk"]

Model = nn.Module | Callable[[Tensor], Tensor]

# Halvings between two looks: a millionth of their gap is left.
HALVINGS = 20

# Looks on the way to where an answer is known to be another one.
LOOKS = 16


def walk(
    model: Model,
    x: Float[Tensor, "n ..."],
    direction: Float[Tensor, "n ..."],
    lengths: Float[Tensor, "..."],
    *,
    both_ways: bool = False,
) -> Float[Tensor, " n"]:
    """How far one walks straight ahead from each sample before the answer changes.

    The answer, the class with the highest logit, is looked at after each of `lengths`; between the
    first look that finds another one and the look before, the place is found by halving. A change
    that is over between two looks is not seen, so what is found is an upper bound.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point, where the walks begin.
        direction: Where to (n, ...), of any length but 0.
        lengths: After how long a walk the answer is looked at, in units of the input: (k,) for
            all samples or (n, k) for each, above 0 and ascending.
        both_ways: Whether one also walks in the opposite direction, as along a line; the shorter
            way counts.

    Returns:
        One length per sample (n,), at which the answer is another one than at x; infinite where
        the last look still finds the same.

    Raises:
        ValueError: For samples or directions of another shape, a direction of length 0, lengths
            that do not ascend from above 0, logits that are no (n, C), NaN, and a model that
            answers at random.
        TypeError: For x that is no floating-point tensor.

    Cost: k + 20 forward passes, twice that both ways.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)      # the wall is x_0 = 0
    >>> x, u = torch.tensor([[3.0, 1.0]]), torch.tensor([[-1.0, 1.0]])
    >>> walk(model, x, u, torch.arange(1.0, 9.0)), walk(model, x, -u, torch.arange(1.0, 9.0))
    (tensor([4.2426]), tensor([inf]))
    """
    lengths = _lengths(lengths, x)
    unit = _unit(direction, x)
    with torch.no_grad(), borrow.borrowed(model, x) as lent:
        ways = [unit, -unit] if both_ways else [unit]
        # Layers are wider than the input, and every look is a sample of its own.
        size = borrow.chunks(len(x), 16 * x[0].numel() * lengths.shape[1])
        parts = [slice(start, start + size) for start in range(0, len(x), size)]
        found = [
            torch.cat([_first(lent, x[part], way[part], lengths[part]) for part in parts])
            for way in ways
        ]
    return torch.stack(found).amin(dim=0)


def linear_walk(
    model: Model, x: Float[Tensor, "n ..."]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n ..."]]:
    """How far the nearest wall would be if the model were linear: the first-order distance.

    min over the rivals j of |F_j| / |grad F_j| at x, F_j = f_j - f_own: one look and no walk.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point.

    Returns:
        The length of each walk (n,), in units of the input, infinite where all slopes are 0; and
        its direction, of length 1 and of the shape of x.

    Raises:
        ValueError: As `DecisionFunction`.
        TypeError: As `DecisionFunction`.

    Exact for a linear model; neither an upper nor a lower bound of the margin for another. Cost:
    C - 1 gradients.

    >>> net = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> linear_walk(net, torch.tensor([[1.0, 1.0]]))       # 7 / |(3, 4)|
    (tensor([1.4000]), tensor([[-0.6000, -0.8000]]))
    """
    step = _to_the_nearest(*DecisionFunction(model, x).values_and_gradients(x))
    length = length_of(step)
    return length.masked_fill(length == 0, torch.inf), _normalised(step, torch.ones_like(step))


def linear_line(
    model: Model, x: Float[Tensor, "n ..."], direction: Float[Tensor, "n ..."]
) -> Float[Tensor, " n"]:
    """How far the first wall along a line would be, either way, if the model were linear at x.

    min over the rivals j of |F_j| / |u . grad F_j| at x, F_j = f_j - f_own, u the direction at
    length 1: what straight walls with the slopes at x give, as `linear_walk` for a given line.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point.
        direction: Along what (n, ...), of any length but 0; the shorter of both ways counts.

    Returns:
        One length per sample (n,), in units of the input; infinite where no score changes.

    Raises:
        ValueError: As `DecisionFunction`, and for directions that `walk` refuses.
        TypeError: As `DecisionFunction`.

    Exact for a linear model, where it is `walk` with both ways. Cost: C - 1 gradients.

    >>> net = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> linear_line(net, torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 2.0]]))       # 7 / 4
    tensor([1.7500])
    """
    values, gradients = DecisionFunction(model, x).values_and_gradients(x)
    rate = (gradients.flatten(2) * _unit(direction, x).flatten(1)[:, None]).sum(dim=2).abs()
    return torch.where(rate > 0, values.abs() / rate, torch.inf).amin(dim=1)


def shortest_walk(
    model: Model,
    x: Float[Tensor, "n ..."],
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    rounds: int = 4,
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n ..."]]:
    """The shortest walk to another answer that was found from each sample.

    DeepFool: at z = x + (1 + overshoot) delta every rival j has a wall, |F_j| / |grad F_j| away if
    F_j = f_j - f_own were linear; delta grows by the step to the nearest, until the answer is
    another one. The length is where it first changes along that direction (`walk`). Then, in each
    round, one looks from x straight at the plane that touches the wall there, and at the mean of
    that direction and the present one, and keeps what is shorter.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point.
        steps: How many linear steps at most; by default 50.
        overshoot: How much farther one goes than linearity demands, as a share of the way, so as
            not to stop on the wall; by default 0.02.
        rounds: How often the direction is improved; by default 4. With 0 it is DeepFool's.

    Returns:
        The length of each walk (n,), in units of the input, infinite where no step led to another
        answer; and its direction, of length 1 and of the shape of x.

    Raises:
        ValueError: As `DecisionFunction`, and for fewer steps than 1, an overshoot or rounds
            below 0.
        TypeError: As `DecisionFunction`.

    An upper bound of the margin: where walls bend, another way may be shorter. Cost: C - 1
    gradients a step, for two to five steps on the book's networks; one gradient and about 70
    forward passes a round. Source: Moosavi-Dezfooli, Fawzi, Frossard (2016), arXiv 1511.04599,
    algorithm 2.

    >>> net = nn.Linear(2, 3, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[0.0, 1.0], [3.0, -3.0], [0.0, -1.0]]))
    >>> shortest_walk(net, torch.tensor([[-1.0, 4.0]]))    # 19 / |(3, -4)|, and not 8 / |(0, -2)|
    (tensor([3.8000]), tensor([[ 0.6000, -0.8000]]))
    """
    if steps < 1 or not overshoot >= 0 or rounds < 0:
        raise ValueError(
            f"steps = {steps}, overshoot = {overshoot}, rounds = {rounds}: one walks forward, so "
            "pass 1 step or more, and 0 or more of the other two."
        )
    F, delta = DecisionFunction(model, x), torch.zeros_like(x)
    for _ in range(steps):
        values, gradients = F.values_and_gradients(x.detach() + (1 + overshoot) * delta)
        inside = values.amax(dim=1) <= 0
        if not x.is_meta and not inside.any():
            break
        delta = delta + _to_the_nearest(values, gradients) * with_axes_of(inside, x)
    far = (1 + overshoot) * length_of(delta)
    # Where all slopes are 0 there is nowhere to go: whichever way, the walk has no end.
    u = _normalised(delta, torch.ones_like(x))
    found = _before(model, x, u, far.masked_fill(far == 0, torch.inf))
    for _ in range(rounds):
        normal = _normal(model, x, F.own, found, u)
        for way in (normal, normal + u):
            way = _normalised(way, u)
            length = _before(model, x, way, found)
            shorter = length < found
            found, u = (
                torch.where(shorter, length, found),
                torch.where(with_axes_of(shorter, x), way, u),
            )
    return found, u


def _before(model: Model, x: Tensor, way: Tensor, far: Tensor) -> Tensor:
    """Where the answer first changes on a walk no longer than far (n,), infinite if nowhere."""
    looks = torch.linspace(0, 1, LOOKS + 1, dtype=x.dtype, device=x.device)[1:]
    going = far.isfinite()
    lengths = torch.where(going, far, 1.0)[:, None] * looks
    return torch.where(going, walk(model, x, way, lengths), torch.inf)


def _normal(model: Model, x: Tensor, own: Tensor, found: Tensor, u: Tensor) -> Tensor:
    """Unit normal of the wall where the walks end, u where there is none."""
    end = x.detach() + with_axes_of(torch.where(found.isfinite(), found, 0.0), x) * u
    with torch.no_grad(), borrow.borrowed(model, end, ask=False) as lent:
        rival = logit_gaps(lent(end), own).argmax(dim=1)
    return _normalised(DecisionFunction(model, end, pair=(rival, own)).gradient(end), u)


def _to_the_nearest(values: Tensor, gradients: Tensor) -> Tensor:
    """The step to the nearest of the linearised walls (n, ...), 0 where none has a slope."""
    flat = gradients.flatten(2)
    slope = torch.linalg.vector_norm(flat, dim=2)
    far = torch.where(slope > 0, values.abs() / slope, torch.inf)
    k = far.argmin(dim=1)
    far, slope = far.gather(1, k[:, None]), slope.gather(1, k[:, None])
    normal = flat.gather(1, k[:, None, None].expand(-1, 1, flat.shape[2])).squeeze(1)
    step = torch.where(slope > 0, far / slope * normal, 0.0)
    return step.reshape(gradients[:, 0].shape)


def _first(lent: Callable, x: Tensor, unit: Tensor, lengths: Tensor) -> Tensor:
    logits = lent(x)
    borrow.refuse_logits(logits, len(x))
    own = logits.argmax(dim=1)

    def changed(at: Tensor) -> Tensor:
        """Whether the answer is another one after walks of lengths (n, k)."""
        points = x[:, None] + at.view(*at.shape, *[1] * (x.ndim - 1)) * unit[:, None]
        answers = lent(points.flatten(0, 1))
        borrow.refuse_nan(answers)
        return answers.argmax(dim=1).view(at.shape) != own[:, None]

    seen = changed(lengths)
    k = seen.int().argmax(dim=1, keepdim=True)
    start = torch.zeros_like(lengths[:, :1])
    near, far = torch.cat([start, lengths], dim=1).gather(1, k), lengths.gather(1, k)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        out = changed(middle)
        near, far = torch.where(out, near, middle), torch.where(out, middle, far)
    return torch.where(seen.any(dim=1), far.squeeze(1), torch.inf)


def _normalised(direction: Tensor, otherwise: Tensor) -> Tensor:
    """Directions of length 1, that of `otherwise` where there is none."""
    moves = with_axes_of(length_of(direction) > 0, direction)
    direction = torch.where(moves, direction, otherwise)
    return direction / with_axes_of(length_of(direction), direction)


def _unit(direction: Tensor, x: Tensor) -> Tensor:
    if direction.shape != x.shape:
        raise ValueError(
            f"direction has shape {tuple(direction.shape)} and x {tuple(x.shape)}: each sample "
            "walks its own way, so pass one direction per sample, of the shape of x."
        )
    direction = direction.detach().to(x.dtype)
    length = length_of(direction)
    if not x.is_meta and not (length > 0).all():
        raise ValueError(
            f"{int((~(length > 0)).sum())} of {len(x)} directions have no length: one walks "
            "somewhere, so pass directions that are not 0 and not NaN."
        )
    return direction / with_axes_of(length, x)


def _lengths(lengths: Tensor, x: Tensor) -> Tensor:
    if not x.is_floating_point() or x.ndim < 2 or not len(x):
        kind = TypeError if not x.is_floating_point() else ValueError
        raise kind(
            f"x is {x.dtype} of shape {tuple(x.shape)}: a walk begins at samples, so pass a "
            "floating-point tensor (n, ...) with n of 1 or more."
        )
    if (
        lengths.ndim not in (1, 2)
        or not lengths.shape[-1]
        or (lengths.ndim == 2 and len(lengths) != len(x))
    ):
        raise ValueError(
            f"lengths have shape {tuple(lengths.shape)} for {len(x)} samples: pass (k,) for all, "
            "or (n, k), one row for each, with k of 1 or more."
        )
    given = lengths.detach().to(x).expand(len(x), -1)
    if not x.is_meta and not (given.diff(dim=1, prepend=torch.zeros_like(given[:, :1])) > 0).all():
        raise ValueError(
            "The lengths do not ascend from above 0: the answer is looked at on the way, so pass "
            "them sorted, as torch.linspace or torch.logspace gives them."
        )
    return given
