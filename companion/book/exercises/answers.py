"""What a check answers, and how it tries a reader's function without stopping the page.

Shared by the checks of all chapters; first used in `book/prologue`.
"""

__all__ = [
    "NOT_YET",
    "Answer",
    "Mistakes",
    "Stopped",
    "answering",
    "attempted",
    "finite",
    "not_right",
    "number",
    "recognised",
    "several",
    "shaped",
]

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """What a check found: `right` (True, False, or None if not attempted yet) and its sentence."""

    right: bool | None
    sentence: str

    def __repr__(self) -> str:
        return self.sentence


NOT_YET = Answer(None, "not attempted yet")

# What likely mistakes would give, under the sentence each of them gets.
Mistakes = dict[str, list[Tensor]]


class Stopped(Exception):
    """Raised inside a check that has its `answer` already."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.sentence)
        self.answer = answer


def not_right(sentence: str) -> Answer:
    """The answer to a wrong attempt.

    >>> not_right("You walked away from the wall.").right
    False
    """
    return Answer(False, sentence)


def answering(check: Callable[..., Answer]) -> Callable[..., Answer]:
    """A check that returns the answer it was stopped with.

    >>> @answering
    ... def check(solution):
    ...     return Answer(True, attempted(solution)())
    >>> check(None), check(lambda: "Right.")
    (not attempted yet, Right.)
    """

    @wraps(check)
    def answered(solution: object) -> Answer:
        try:
            return check(solution)
        except Stopped as stopped:
            return stopped.answer

    return answered


def attempted(solution: object) -> Callable:
    """The reader's function, made safe: whatever it does becomes an answer.

    Args:
        solution: What the reader passed; None and `...` stand for an untouched stub.

    Returns:
        A function with the same arguments, which passes copies of the tensors on and raises
        Stopped for an error inside the reader's function, and for what a stub returns.

    Raises:
        Stopped: For an untouched stub, and for what is no function.

    >>> attempted(len)([1, 2])
    2
    """
    if solution is None or solution is ...:
        raise Stopped(NOT_YET)
    if not callable(solution):
        raise Stopped(not_right(
            f"The check needs your function itself, not a {type(solution).__name__}: pass its "
            "name without brackets behind it."
        ))

    def attempt(*given: object) -> object:
        try:
            found = solution(*(g.clone() if isinstance(g, Tensor) else g for g in given))
        except NotImplementedError:
            found = None
        except Exception as error:  # whatever a reader's function does, the page must go on
            raise Stopped(not_right(
                f"Your function stopped with {type(error).__name__} ({error}): try it on three "
                "points first."
            )) from None
        if found is None or found is ...:
            raise Stopped(NOT_YET)
        return found

    return attempt


def number(found: object, *, what: str, nan: str) -> float:
    """One number out of what a reader returned; `what` says what it measures, `nan` why it fails.

    >>> number(torch.tensor([2.0]), what="a length", nan="")
    2.0
    """
    size = found.numel() if isinstance(found, Tensor) else np.size(found)
    try:
        value = float(found) if size == 1 else None
    except (TypeError, ValueError):
        value = None
    if value is None:
        raise Stopped(not_right(
            f"Your function returned a {type(found).__name__} with {size} entries; {what} is one "
            "number."
        ))
    if value != value:
        raise Stopped(not_right(f"Your answer is not a number (NaN): {nan}"))
    return value


def shaped(found: object, shape: tuple[int, ...], *, kind: str, meaning: str) -> Tensor:
    """A float64 tensor of one shape out of what a reader returned.

    `kind` ends the sentence for what is no tensor, `meaning` the one for another shape.

    >>> shaped(np.ones(2), (2,), kind="", meaning="")
    tensor([1., 1.], dtype=torch.float64)
    """
    found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
    if not isinstance(found, Tensor):
        raise Stopped(not_right(f"Your function returned a {type(found).__name__}; {kind}"))
    if tuple(found.shape) != shape:
        raise Stopped(not_right(meaning.format(shape=tuple(found.shape))))
    return found.detach().double()


def finite(given: Tensor, sentence: str) -> Tensor:
    """The same tensor; `sentence` is the answer where an entry of it is NaN or infinite.

    >>> finite(torch.ones(2), "")
    tensor([1., 1.])
    """
    if not torch.isfinite(given).all():
        raise Stopped(not_right(sentence))
    return given


def several(found: object, count: int, *, asked: str) -> tuple | list:
    """The `count` parts of what a reader returned; `asked` is the answer to anything else.

    >>> several((1, 2), 2, asked="Two numbers are asked for.")
    (1, 2)
    """
    if not isinstance(found, (tuple, list)) or len(found) != count:
        raise Stopped(not_right(asked))
    return found


def recognised(given: Tensor, table: Mistakes) -> str | None:
    """The sentence of the first mistake that would give the same, None where none would.

    >>> recognised(torch.tensor(2.0), {"You took it twice.": [torch.tensor(2.0)]})
    'You took it twice.'
    """
    return next(
        (
            sentence
            for sentence, mistakes in table.items()
            if any(_close(given, mistake) for mistake in mistakes)
        ),
        None,
    )


def _close(given: Tensor, right: Tensor) -> bool:
    return bool((given - right).abs().amax() <= 1e-3 * right.abs().amax() < torch.inf)
