"""What a check answers, and how it tries a reader's function without stopping the page.

Shared by the checks of all chapters; first used in `book/prologue`.
"""

__all__ = ["NOT_YET", "Answer", "Stopped", "attempted", "not_right"]

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """What a check found; it shows itself as its sentence.

    Args:
        right: True or False, None if the exercise was not attempted yet.
        sentence: What the reader is told.
    """

    right: bool | None
    sentence: str

    def __repr__(self) -> str:
        return self.sentence


NOT_YET = Answer(None, "not attempted yet")


class Stopped(Exception):
    """Raised inside a check that has its answer already.

    Args:
        answer: What the check answers.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.sentence)
        self.answer = answer


def not_right(sentence: str) -> Answer:
    """The answer to a wrong attempt.

    Args:
        sentence: What is wrong with it.

    Returns:
        The answer.

    >>> not_right("You walked away from the wall.").right
    False
    """
    return Answer(False, sentence)


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
