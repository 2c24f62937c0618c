"""Many stacks of one shape at once, each with its seed, read at several lengths of training.

Explained in the chapter `book/distances/stacked_isometric_layers`.
"""

import copy
from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from companion.distances import correlation, pairwise, within_class
from companion.distances.metric import at_hand
from companion.ensembles import clip_each
from companion.isometry.loss import isometry_loss, scale_loss
from companion.isometry.penalty import refuse_weight
from companion.isometry.stack import (
    IsometricStack,
    LevelLoss,
    chosen_levels,
    per_level,
    refuse_hierarchy,
)
from companion.training import Recipe, accuracy
from companion.training.fitting import refuse_samples
from companion.training.loop import Turn, refuse_divergence, train, wide

__all__ = ["fit_stacks", "kept_at_taps", "level_accuracies"]


def fit_stacks(
    stacks: Mapping[int, IsometricStack],
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, "m levels"],
    recipe: Recipe,
    *,
    beta: float | int | Sequence[float | int] = 0.0,
    loss: LevelLoss | Sequence[LevelLoss] = isometry_loss,
    frozen: bool = True,
    levels: Collection[int] | None = None,
    lengths: Sequence[int] = (),
) -> dict[int, tuple[IsometricStack, ...]]:
    """Train stacks of one shape, as `fit_stack` would one after another, and keep some on the way.

    All stacks take a step in the same few operations; the penalty is computed for each alone.

    Args:
        stacks: By seed, which says the order of the batches; they are left as they are.
        x: Samples (n, ...).
        y: Labels (n, levels), int64, one column per level, coarse first.
        recipe: Epochs, batches, optimizer, schedule, for all.
        beta: Weight of the penalty, one number or one per level.
        loss: The penalty loss(x, z, y), one function or one per level.
        frozen: Whether a step moves the level's own block and its readout only.
        levels: Those to be trained (0: the coarsest); None: all.
        lengths: Epochs after which the stacks are kept as they are, in any order, from 0 to the
            last; the last is always kept.

    Returns:
        For each length, in order, copies of the stacks in their order, in evaluation mode.

    Raises:
        ValueError: What `fit_stack` raises, for no stack, for stacks of two forms, and for a
            length beyond the recipe's.
        TypeError: For labels that are not int64.

    A stack after k epochs is what a run of k epochs gives, unless the recipe has a schedule. Both
    ways draw the same weights and batches; in float64 the weights agree within 1e-9 after tens of
    steps, later they drift apart as two machines would. Cost: 20 stacks of 13 layers, 20 wide, on
    256 points take a fifth of the time of one after another.

    >>> from companion.training import initialised
    >>> x, y = torch.tensor([[0.0], [1.0], [3.0], [4.0]]), torch.arange(4)
    >>> labels = torch.stack([y // 2, y], dim=1)
    >>> start = {seed: initialised(lambda: IsometricStack(1, [(8, 8), (8, 8)], (2, 4)), seed)
    ...     for seed in (0, 1)}
    >>> made = fit_stacks(start, x, labels, Recipe(300, lr=0.01), beta=1, lengths=[0])
    >>> list(made), level_accuracies(made[300], x, labels)
    ([0, 300], tensor([[1., 1.],
            [1., 1.]]))
    """
    lengths = _lengths(lengths, recipe.epochs)
    if not stacks:
        raise ValueError("stacks is empty: pass one stack for each seed that is wanted.")
    many = _Many([copy.deepcopy(stack).to(x.device).train() for stack in stacks.values()])
    count = len(many.shape.classes)
    refuse_hierarchy(y, many.shape.classes)
    refuse_samples(x, y, axes=2)
    betas = per_level(beta, count, "beta", refuse_weight)
    losses = per_level(loss, count, "loss")
    chosen = chosen_levels(levels, count)
    rows, at, every = x.flatten(1), {}, recipe.steps(len(x))
    ready = [_ready(losses[b], x, y[:, b]) if every == 1 else None for b in range(count)]

    def turns(step, indices):
        if step % every == 0 and step // every in lengths:
            at[step // every] = many.copied()
        inputs, asked = (torch.stack([values[index] for index in indices]) for values in (rows, y))
        for b in chosen:
            penalty = betas[b], ready[b] or losses[b]
            yield many.turn(b, inputs, asked[..., b], *penalty, frozen=frozen)

    curves = train(
        turns, many.weights.values(), x, recipe, seeds=tuple(stacks),
        shape=(len(chosen), len(stacks)), label="fit_stacks", clip=clip_each,
    )  # fmt: skip
    refuse_divergence(curves.loss)
    at[recipe.epochs] = many.copied()
    return {length: tuple(_with(stacks.values(), at[length])) for length in lengths}


def level_accuracies(
    stacks: Sequence[IsometricStack], x: Float[Tensor, "n ..."], y: Int64[Tensor, "m levels"]
) -> Float[Tensor, "stacks levels"]:
    """Share of the samples that each stack gets right at each level.

    Args:
        stacks: One or more.
        x: Samples (n, ...).
        y: Labels (n, levels), int64, coarse first.

    Returns:
        (stacks, levels), from 0 to 1.

    >>> stack = IsometricStack(1, [(2,), (2,)], (2, 4))
    >>> level_accuracies([stack, stack], torch.zeros(3, 1), torch.zeros(3, 2).long()).shape
    torch.Size([2, 2])
    """
    return torch.tensor(
        [[accuracy(stack.level(b), x, y[:, b]) for b in range(y.shape[1])] for stack in stacks]
    )


def kept_at_taps(
    stack: IsometricStack, x: Float[Tensor, "n ..."], y: Int64[Tensor, "m levels"]
) -> Float[Tensor, " levels"]:
    """How well each tap keeps the input distances within the classes of its own level.

    Pearson correlation r of |z_i - z_j| and |x_i - x_j| over the pairs with one label at the
    level, z the tap; no unit, and blind to the size of z.

    Args:
        stack: Its taps are read.
        x: Samples (n, ...).
        y: Labels (n, levels), coarse first.

    Returns:
        (levels,), 1 where the distances are kept up to a factor and a summand.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]])
    >>> kept_at_taps(IsometricStack(1, [(4,)], (2,)), x, torch.zeros(3, 1).long()).shape
    torch.Size([1])
    """
    before = pairwise(x.flatten(1))
    with torch.no_grad():
        return torch.stack([
            correlation(before, pairwise(stack.tap(b, x)), where=within_class(y[:, b]))
            for b in range(y.shape[1])
        ])  # fmt: skip


class _Many:
    """Stacks of one shape: their weights side by side, and the taps and logits of all at once."""

    def __init__(self, models: Sequence[IsometricStack]):
        if len({str(model) for model in models}) > 1:
            raise ValueError(
                "The stacks are not of one form: those that are trained together have the same "
                "blocks, skips and readouts, so train the others with a call of their own."
            )
        self.shape = models[0]
        self.weights, _ = torch.func.stack_module_state(models)

    def tap(self, level: int, x: Float[Tensor, "m n d"]) -> Float[Tensor, "m n w"]:
        for b in range(level + 1):
            x = self.climb(b, x)
        return x

    def climb(self, level: int, below: Float[Tensor, "m n d"]) -> Float[Tensor, "m n w"]:
        z = below
        for name, layer in self.shape.get_submodule(f"block{level + 1}").named_children():
            z = self._through(f"block{level + 1}.{name}", layer, z)
        if self.shape.skip:
            name = f"skip{level + 1}"
            z = z + self._through(name, self.shape.get_submodule(name), below)
        return z

    def turn(
        self, level: int, x: Float[Tensor, "m n d"], y: Tensor, beta: float | int, loss: LevelLoss,
        *, frozen: bool,
    ) -> Turn:  # fmt: skip
        """The step of one level; the penalty is computed for each stack alone."""
        with torch.set_grad_enabled(not frozen):
            below = self.tap(level - 1, x)
        z = self.climb(level, below)
        logits = self.read(level, z)
        each = functional.cross_entropy(
            wide(logits).flatten(0, 1), y.flatten(), reduction="none"
        ).view(y.shape)
        total = cross_entropy = each.mean(dim=1)
        if beta:
            penalties = [loss(*one) for one in zip(x, z, y, strict=True)]
            total = total + beta * torch.stack(penalties)
        return Turn(total, cross_entropy, logits, y)

    def copied(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.weights.items()}

    def read(self, level: int, z: Float[Tensor, "m n w"]) -> Float[Tensor, "m n c"]:
        name = "readout" if self.shape.shared else f"readout{level + 1}"
        logits = self._through(name, self.shape.get_submodule(name), z)
        return logits[..., : self.shape.classes[level]]

    def _through(self, name: str, layer: nn.Module, z: Tensor) -> Tensor:
        if not isinstance(layer, nn.Linear):
            return layer(z)
        weight = self.weights[f"{name}.weight"].mT
        if layer.bias is None:
            return z @ weight
        return torch.baddbmm(self.weights[f"{name}.bias"][:, None], z, weight)


def _ready(loss: LevelLoss, x: Tensor, y: Tensor) -> LevelLoss | None:
    """The loss with what only x and y decide computed once, where every step sees all of x."""
    if loss not in (isometry_loss, scale_loss) or not at_hand(x):
        return None
    order = y.argsort(stable=True)
    sizes = torch.unique_consecutive(y[order], return_counts=True)[1].tolist()

    def within(values):
        return torch.cat([torch.pdist(own) for own in values[order].split(sizes)])

    before = within(x.flatten(1))
    share, pairs = 2 / len(x) ** 2, max(1, len(before))

    def isometric(x, z, y):
        return share * (within(z) - before).square().sum()

    def scale_only(x, z, y):
        return share * pairs * (within(z).sum() / pairs - before.sum() / pairs).square()

    return isometric if loss is isometry_loss else scale_only


def _with(stacks, weights):
    for k, stack in enumerate(stacks):
        stack = copy.deepcopy(stack).to(next(iter(weights.values())).device)
        stack.load_state_dict({name: stacked[k] for name, stacked in weights.items()})
        yield stack.eval()


def _lengths(lengths: Sequence[int], last: int) -> tuple[int, ...]:
    wanted = tuple(sorted({*lengths, last}))
    if wanted[0] < 0 or wanted[-1] > last:
        raise ValueError(
            f"lengths = {tuple(lengths)}: the recipe has {last} epochs, so keep the stacks after "
            "0 to that many."
        )
    return wanted
