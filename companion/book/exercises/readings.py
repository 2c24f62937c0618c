"""What a reader's function returned: read, or refused with a sentence, and compared.

Shared by the exercises of all chapters; first used in `book/prologue`.
"""

__all__ = ["Number", "Parts", "Points", "Truth", "Within", "close"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from companion.book.exercises.answers import Stopped, not_right


@dataclass(frozen=True)
class Number:
    """Reads one number out of what a reader's function returned.

    Args:
        what: What the number measures, with its article: "a median".
        nan: Why it may be NaN; None lets NaN pass.

    >>> Number("a length")(torch.tensor([2.0]))
    2.0
    """

    what: str
    nan: str | None = None

    def __call__(self, found: object, *case: object) -> float:
        """The number.

        Args:
            found: What the reader's function returned.
            case: What it was given.

        Returns:
            One float.

        Raises:
            Stopped: With the sentence for what is no number, or for NaN.
        """
        size = _size(found)
        try:
            value = float(found.item() if hasattr(found, "item") else found) if size == 1 else None
        except (TypeError, ValueError):
            value = None
        if value is None:
            raise Stopped(not_right(
                f"Your function returned a {type(found).__name__} with {size} entries; "
                f"{self.what} is one number."
            ))
        if self.nan is not None and value != value:
            raise Stopped(not_right(f"Your answer is not a number (NaN): {self.nan}"))
        return value


@dataclass(frozen=True)
class Truth:
    """Reads one truth value out of what a reader's function returned.

    Args:
        what: The question, "whether …".

    >>> Truth("whether it is closed")(np.bool_(True))
    True
    """

    what: str

    def __call__(self, found: object, *case: object) -> bool:
        """The truth value.

        Args:
            found: What the reader's function returned.
            case: What it was given.

        Returns:
            True or False.

        Raises:
            Stopped: With the sentence for what is neither.
        """
        size = _size(found)
        value = found.item() if size == 1 and hasattr(found, "item") else found
        if not isinstance(value, bool | int) or value not in (0, 1):
            raise Stopped(not_right(
                f"Your function returned a {type(found).__name__} with {size} entries; "
                f"{self.what} is one answer, True or False."
            ))
        return bool(value)


@dataclass(frozen=True)
class Points:
    """Reads a float64 tensor of one shape out of what a reader's function returned.

    Args:
        shape: The shape of the answer, from what the function was given; None is any length.
        kind: The end of the sentence for what is no tensor.
        meaning: The sentence for another shape; it may name `{shape}`, what came, `{asked}`, what
            was to come, and `{n}`, the first length of the latter.
        nan: The sentence for entries that are NaN, infinite or too large to be squared; None lets
            them pass.

    >>> Points(lambda x: x.shape, kind="", meaning="{n} points.")(np.ones(2), torch.zeros(2))
    tensor([1., 1.], dtype=torch.float64)
    """

    shape: Callable[..., tuple[int | None, ...]]
    kind: str
    meaning: str
    nan: str | None = None

    def __call__(self, found: object, *case: object) -> Tensor:
        """The tensor.

        Args:
            found: What the reader's function returned.
            case: What it was given.

        Returns:
            The entries in float64, on their device, without a gradient.

        Raises:
            Stopped: With the sentence for what is no tensor of that shape, or not finite.
        """
        name, asked = type(found).__name__, tuple(self.shape(*case))
        if isinstance(found, np.ndarray) and found.dtype.kind in "biuf":
            found = torch.from_numpy(found.copy())
        if not isinstance(found, Tensor) or found.is_complex():
            raise Stopped(not_right(f"Your function returned a {name}; {self.kind}"))
        shape = tuple(found.shape)
        fits = len(shape) == len(asked) and all(
            wanted in (None, length) for wanted, length in zip(asked, shape, strict=True)
        )
        if not fits:
            raise Stopped(not_right(self.meaning.format(shape=shape, asked=asked, n=asked[0])))
        given = found.detach().double()
        # What is too large to be squared is of no use to a ruler either.
        if self.nan is not None and not torch.isfinite(given.square()).all():
            raise Stopped(not_right(self.nan))
        return given


@dataclass(frozen=True)
class Parts:
    """Reads several parts out of what a reader's function returned.

    Args:
        asked: The sentence for anything but a tuple or a list of so many parts.
        each: How each of them is read.

    >>> Parts("Two numbers are asked for.", (Number("a length"), Number("a length")))((1, 2))
    (1.0, 2.0)
    """

    asked: str
    each: tuple[Callable, ...]

    def __call__(self, found: object, *case: object) -> tuple:
        """The parts.

        Args:
            found: What the reader's function returned.
            case: What it was given.

        Returns:
            What each part reads.

        Raises:
            Stopped: With `asked`, or with the sentence of a part.
        """
        if not isinstance(found, (tuple, list)) or len(found) != len(self.each):
            raise Stopped(not_right(self.asked))
        return tuple(read(part, *case) for read, part in zip(self.each, found, strict=True))


@dataclass(frozen=True)
class Within:
    """Whether two answers are the same: at each entry, |given - right| within the largest room.

    Args:
        largest: Share of the largest finite entry of the second, so that an entry near 0 needs no
            digits of its own.
        relative: Share of the entry itself.
        absolute: A number in the unit of the answers.

    Infinite entries agree with their equals alone, NaN with nothing.

    >>> Within(largest=1e-3)(torch.tensor([1000.5, 0.5]), torch.tensor([1000.0, 0.0]))
    True
    >>> Within(relative=1e-3)(8.0, torch.inf)
    False
    """

    largest: float = 0.0
    relative: float = 0.0
    absolute: float = 0.0

    def __call__(self, given: Tensor | float, right: Tensor | float) -> bool:
        """The comparison.

        Args:
            given: One answer, a number or a tensor.
            right: The other one, of the same shape.

        Returns:
            Whether they agree.
        """
        given, right = (torch.as_tensor(part, dtype=torch.float64) for part in (given, right))
        size = torch.where(right.isfinite(), right, 0).abs()
        room = self.largest * size.amax() + self.relative * size + self.absolute
        return bool(((given == right) | ((given - right).abs() <= room)).all())


close = Within(largest=1e-3)


def _size(found: object) -> int:
    """How many entries a reader returned; 1 for what has no length."""
    if isinstance(found, (Tensor, np.ndarray)):
        return int(np.prod(found.shape))
    return len(found) if isinstance(found, (tuple, list, dict, set)) else 1
