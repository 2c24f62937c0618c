"""Networks with one tap for each level of a hierarchy of labels, trained level by level.

Explained in the chapter `book/distances/stacked_isometric_layers`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from companion.isometry.loss import isometry_loss
from companion.isometry.penalty import refuse_weight
from companion.models import MLP
from companion.training import Recipe
from companion.training.fitting import refuse_samples
from companion.training.loop import Turn, refuse_divergence, train, wide

__all__ = ["IsometricStack", "StackHistory", "fit_stack"]

LevelLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


class IsometricStack(nn.Module):
    """Blocks of layers, one on the other; after each a tap, where one level of labels is read.

    Args:
        inputs: Number of values of a sample; axes after the first are flattened.
        blocks: Widths of each level's layers, coarse first: `[(20,) * 4, (20,) * 4, (20,) * 5]`.
        classes: Number of labels of each level, coarse first: `(2, 4, 8)`.
        activation: As in `models.MLP`.
        shared: One readout serves all levels, a coarse one by its first outputs (as published);
            otherwise each level has its own.
        skip: Add what a block was given to what it makes of it, where the widths differ through
            a fixed orthogonal matrix: our control, not published.
        dtype: Of the weights; None: that of torch.

    Raises:
        ValueError: For an empty level (no layer, or fewer than two labels), numbers of blocks and
            classes that differ, and widths that a shared readout cannot join.

    The layers are `block1.linear1`, `block1.act1`, ..., what a level is read from `tap1`, `tap2`,
    ..., the readouts `readout` or `readout1`, ...; `models.representations` lists them. Calling
    the stack gives the logits of the finest level, `level(b)` is the network of level b alone.
    Matrices between hidden layers start orthogonal (as published), the others as torch makes them.

    Beshkov, Verhellen, Lepperød (2022), arXiv 2211.01236, and their code of 2024.

    >>> stack = IsometricStack(3, [(5,), (5, 5)], (2, 4))
    >>> stack(torch.zeros(6, 3)).shape, stack.level(0)(torch.zeros(6, 3)).shape
    (torch.Size([6, 4]), torch.Size([6, 2]))
    """

    def __init__(
        self,
        inputs: int,
        blocks: Sequence[Sequence[int]],
        classes: Sequence[int],
        *,
        activation: str | Callable[[Tensor], Tensor] = "tanh",
        shared: bool = True,
        skip: bool = False,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        _refuse_levels(blocks, classes, shared=shared)
        self.classes, self.shared, self.skip = tuple(classes), shared, skip
        ends = [inputs, *(widths[-1] for widths in blocks)]
        for number, (before, widths) in enumerate(zip(ends, blocks, strict=False), start=1):
            block = MLP((before, *widths, widths[-1]), activation, dtype=dtype)
            # A block ends with its last activation.
            del block.logits
            self.add_module(f"block{number}", block)
            # A layer of its own: recorded under this name whatever the block is made of.
            self.add_module(f"tap{number}", nn.Identity())
            if skip:
                self.add_module(f"skip{number}", _carry(before, widths[-1], dtype))
        for layer in [layer for layer in self.modules() if isinstance(layer, nn.Linear)][1:]:
            nn.init.orthogonal_(layer.weight)
        if shared:
            self.readout = nn.Linear(ends[-1], classes[-1], dtype=dtype)
        else:
            for number, (width, outputs) in enumerate(
                zip(ends[1:], classes, strict=True), start=1
            ):
                self.add_module(f"readout{number}", nn.Linear(width, outputs, dtype=dtype))

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c"]:
        last = len(self.classes) - 1
        return self.read(last, self.tap(last, x))

    def tap(self, level: int, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n w"]:
        """What a level is read from; gradients flow through all blocks.

        Args:
            level: 0 is the coarsest.
            x: Samples (n, ...).

        Returns:
            (n, width of the level's last layer).
        """
        z = x
        for b in range(level + 1):
            z = self.climb(b, z)
        return z

    def climb(self, level: int, below: Float[Tensor, "n ..."]) -> Float[Tensor, "n w"]:
        """From the tap of the level below to the tap of this one.

        Args:
            level: 0 is the coarsest.
            below: What the tap below gave; for level 0 the input.

        Returns:
            (n, width of the level's last layer).
        """
        z = getattr(self, f"block{level + 1}")(below)
        if self.skip:
            z = z + getattr(self, f"skip{level + 1}")(below.flatten(1))
        return getattr(self, f"tap{level + 1}")(z)

    def read(self, level: int, z: Float[Tensor, "n w"]) -> Float[Tensor, "n c"]:
        """Logits of a level from what its tap gave.

        Args:
            level: 0 is the coarsest.
            z: What the tap gave.

        Returns:
            (n, labels of the level).
        """
        logits = (self.readout if self.shared else getattr(self, f"readout{level + 1}"))(z)
        count = self.classes[level]
        return logits[:, :count] if count < logits.shape[1] else logits

    def level(self, level: int) -> nn.Module:
        """The network of one level: its logits, from the blocks up to its tap; weights are shared.

        Args:
            level: 0 is the coarsest; a negative number counts from the finest.

        Returns:
            A module, ready for `accuracy`, `stretch`, an attack.
        >>> stack = IsometricStack(3, [(5,), (5,)], (2, 4), shared=False)
        >>> torch.equal(stack.level(-1)(torch.ones(2, 3)), stack(torch.ones(2, 3)))
        True
        """
        return _Level(self, range(len(self.classes))[level])


def _carry(before: int, after: int, dtype: torch.dtype | None) -> nn.Module:
    if before == after:
        return nn.Identity()
    return nn.Linear(before, after, bias=False, dtype=dtype).requires_grad_(False)


class _Level(nn.Module):
    def __init__(self, stack: IsometricStack, level: int):
        super().__init__()
        self.stack, self.number = stack, level

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c"]:
        return self.stack.read(self.number, self.stack.tap(self.number, x))


@dataclass(frozen=True)
class StackHistory:
    """What happened during `fit_stack`; means over an epoch, each taken before its step.

    Args:
        loss: What was minimised (epochs, trained levels), penalty included.
        cross_entropy: The part of it that is not the penalty (epochs, trained levels).
        accuracy: Share of the samples that were right (epochs, trained levels).
        levels: The columns.
        steps_per_epoch: Batches in one epoch; each trained level takes a step on each.
    """

    loss: Float[Tensor, "epochs levels"]
    cross_entropy: Float[Tensor, "epochs levels"]
    accuracy: Float[Tensor, "epochs levels"]
    levels: tuple[int, ...]
    steps_per_epoch: int

    def __repr__(self) -> str:
        length = f"StackHistory: {len(self.loss)} epochs, levels {self.levels}"
        if not len(self.loss):
            return length
        end = ", ".join(f"{value:.4f}" for value in self.accuracy[-1].tolist())
        return f"{length}, at the end accuracy {end}"


def fit_stack(
    stack: IsometricStack,
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, "m levels"],
    recipe: Recipe,
    *,
    beta: float | int | Sequence[float | int] = 0.0,
    loss: LevelLoss | Sequence[LevelLoss] = isometry_loss,
    frozen: bool = True,
    levels: Collection[int] | None = None,
    seed: int = 0,
) -> StackHistory:
    """Train the stack in place, one step per level and batch; it is left in evaluation mode.

    For every batch the levels take their turn, coarse to fine: forward to the tap, cross-entropy
    plus beta times the penalty on what the tap gives, one step of the one optimizer of the run.

    Args:
        stack: Blocks and readouts of the levels.
        x: Samples (n, ...).
        y: Labels (n, levels), int64, one column per level, coarse first, each label within one
            label of the level above.
        recipe: Epochs, batches, optimizer, schedule; a step of the schedule is a batch.
        beta: Weight of the penalty, one number or one per level.
        loss: The penalty loss(x, z, y) of the input (not of the level below), the tap and the
            labels of the level, one function or one per level; with options it is
            `functools.partial(isometry_loss, scale=2, reduction="pairs")`.
        frozen: Whether a step moves the level's own block and its readout only: no gradient goes
            further down, and blocks without one are not touched, not by momentum either. The
            shared readout moves in every step.
        levels: Those to be trained (0: the coarsest), for a curriculum; None: all.
        seed: Draws the batches.

    Returns:
        The curves of the trained levels, read back at the end.

    Raises:
        ValueError: For a hierarchy that is not nested (naming the label and the two that hold it),
            labels without a logit, numbers of levels that differ, and a loss that became NaN.
        TypeError: For labels that are not int64.

    >>> from companion.training import accuracy, initialised
    >>> x, y = torch.tensor([[0.0], [1.0], [3.0], [4.0]]), torch.arange(4)
    >>> stack = initialised(lambda: IsometricStack(1, [(8, 8), (8, 8)], (2, 4)), seed=0)
    >>> labels = torch.stack([y // 2, y], dim=1)
    >>> _ = fit_stack(stack, x, labels, Recipe(epochs=300, lr=0.01), beta=1)
    >>> accuracy(stack.level(0), x, labels[:, 0]), accuracy(stack, x, y)
    (1.0, 1.0)
    """
    refuse_hierarchy(y, stack.classes)
    refuse_samples(x, y, axes=2)
    betas = per_level(beta, len(stack.classes), "beta", refuse_weight)
    losses = per_level(loss, len(stack.classes), "loss")
    chosen = chosen_levels(levels, len(stack.classes))

    def turns(step, indices):
        inputs = x[indices[0]]
        for b in chosen:
            labels = y[indices[0], b]
            with torch.set_grad_enabled(not frozen):
                below = stack.tap(b - 1, inputs)
            z = stack.climb(b, below)
            logits = stack.read(b, z)
            total = cross_entropy = functional.cross_entropy(wide(logits), labels)
            if betas[b]:
                total = total + betas[b] * losses[b](inputs, z, labels)
            yield Turn(total, cross_entropy, logits, labels)

    stack.train()
    shape = (len(chosen),)
    curves = train(
        turns, stack.parameters(), x, recipe, seeds=(seed,), shape=shape, label="fit_stack"
    )
    stack.eval()
    refuse_divergence(curves.loss)
    return StackHistory(**vars(curves), levels=chosen, steps_per_epoch=recipe.steps(len(x)))


def per_level(values, levels: int, name: str, refuse: Callable = lambda value: None) -> tuple:
    values = tuple(values) if isinstance(values, Sequence) else (values,) * levels
    if len(values) != levels:
        raise ValueError(
            f"{name} holds {len(values)} values and the stack has {levels} levels: pass one for "
            "all levels, or one for each."
        )
    for value in values:
        refuse(value)
    return values


def chosen_levels(levels: Collection[int] | None, count: int) -> tuple[int, ...]:
    chosen = tuple(range(count)) if levels is None else tuple(sorted(set(levels)))
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < count:
        raise ValueError(
            f"levels = {levels}: the stack has the levels 0 to {count - 1}; name at least one of "
            "these."
        )
    return chosen


def _refuse_levels(blocks, classes, *, shared: bool) -> None:
    if not len(blocks) or len(blocks) != len(classes):
        raise ValueError(
            f"There are {len(blocks)} blocks and {len(classes)} numbers of classes: each level "
            "needs one of both, and there must be a level; pass as many widths as classes."
        )
    for level, (widths, labels) in enumerate(zip(blocks, classes, strict=True)):
        if not len(widths) or labels < 2:
            raise ValueError(
                f"Level {level} is empty, with {len(widths)} layers and {labels} labels: a level "
                "needs a layer to be tapped and two labels to tell apart; add them or leave the "
                "level out."
            )
    ends = [widths[-1] for widths in blocks]
    if shared and len(set(ends)) > 1:
        raise ValueError(
            f"The blocks end with the widths {ends}: a shared readout reads levels of one width, "
            "so make them equal, or pass shared=False."
        )
    if shared and max(classes) > classes[-1]:
        raise ValueError(
            f"classes = {tuple(classes)}: a shared readout has as many outputs as the finest "
            "level, which must not have fewer labels than a coarser one; sort them coarse to fine."
        )


def refuse_hierarchy(y: Tensor, classes: tuple[int, ...]) -> None:
    """Labels of levels that do not fit; looks at values, once, and not on `meta`."""
    if y.ndim != 2 or y.shape[1] != len(classes):
        raise ValueError(
            f"y has shape {tuple(y.shape)} and the stack {len(classes)} levels: one column of "
            f"labels per level is needed, so pass y of shape (n, {len(classes)}), coarse first."
        )
    if y.is_meta:
        return
    y = y.cpu()
    for level, count in enumerate(classes):
        low, high = (int(value) for value in y[:, level].aminmax())
        if not 0 <= low <= high < count:
            raise ValueError(
                f"Level {level} of y holds labels from {low} to {high}: the stack reads {count} "
                f"there, 0 to {count - 1}; renumber the labels or widen the level."
            )
    for level in range(1, len(classes)):
        # One row for each pair (fine, coarse) that occurs; a fine label twice lies in two coarse.
        pairs = y[:, [level, level - 1]].unique(dim=0)
        twice = (pairs[1:, 0] == pairs[:-1, 0]).nonzero()
        if len(twice):
            (label, one), (_, other) = pairs[twice[0, 0] : twice[0, 0] + 2].tolist()
            raise ValueError(
                f"The levels are not nested: label {label} of level {level} lies in the labels "
                f"{one} and {other} of level {level - 1}, and it needs to lie in one; change "
                "either level."
            )
