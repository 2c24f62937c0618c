"""An exercise as one value: what it asks, what is right, and what each likely mistake is told.

The frame of all chapters' exercises; first used in `book/prologue`.
"""

__all__ = ["Exercise", "Mistake"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from companion.book.exercises.answers import Answer, Stopped, attempted, not_right
from companion.book.exercises.readings import close

Case = tuple[object, ...]


@dataclass(frozen=True)
class Mistake:
    """A likely mistake: solutions that make it, and the sentence they get.

    A solution makes the mistake if it answers as one of `wrong` does; with `when`, if that
    predicate holds for its answer; with `at`, if it is wrong on that case.

    Args:
        sentence: What is geometrically wrong, never the answer. It may name `{given}`, the
            reader's answer, and what the exercise's `numbers` give.
        wrong: One solution that makes the mistake, or several; with `when` or `at` an example.
        when: A predicate on the answer and what was given, for kinds of answers; None compares
            with the answers of `wrong`.
        at: The name of the only case on which the mistake shows; None for all.
        agree: When two answers are the same; None takes the exercise's.

    >>> Mistake("A length is never negative.", lambda x: -abs(x), when=lambda given, x: given < 0)
    Mistake(sentence='A length is never negative.', ...)
    """

    sentence: str
    wrong: Callable | tuple[Callable, ...]
    when: Callable[..., bool] | None = None
    at: str | None = None
    agree: Callable[..., bool] | None = None

    @property
    def solutions(self) -> tuple[Callable, ...]:
        """The solutions that make it, one or several."""
        return self.wrong if isinstance(self.wrong, tuple) else (self.wrong,)


@dataclass(frozen=True, eq=False, repr=False)
class Exercise:
    """A check: called with a reader's function, it says what is geometrically wrong with it.

    The function is tried on one case after the other. On the first on which its answer is not
    right it gets the sentence of the first of the mistakes that it makes, else the one of
    `otherwise`; if it is right on all of them, the praise.

    Args:
        asks: What the function is to do, with shapes and tolerance, and a doctest; it becomes the
            docstring.
        cases: Makes what the function is tried on, a list of tuples of arguments or a dictionary
            of them by name.
        returns: Reads what the function returned, from that and the arguments: a number, a tensor
            of one shape, or a Stopped with the sentence for what is neither.
        right: A right solution; its answers are compared with the reader's.
        praise: The sentence for a right solution.
        mistakes: The likely mistakes, the first that fits is named.
        otherwise: The sentence for all other wrong answers, with a solution that gets it. None
            for a construction, of which many are right: what makes no mistake is.
        agree: When two answers are the same; by default within 0.1 % of the largest entry.
        accepts: Whether an answer is right, from it and the arguments, where comparing with the
            right one's does not tell; None compares.
        tries: Runs the function, made safe, on the arguments and returns what is judged, where
            one call does not tell; None calls it once and reads the answer by `returns`.
        numbers: What sentences may name, from the answer and the arguments.

    The function gets copies of all tensors, and whatever it does becomes an answer.

    >>> half = Exercise("Check a function that halves a number.", cases=lambda: [(4.0,)],
    ...     returns=lambda found, x: float(found), right=lambda x: x / 2, praise="Right.",
    ...     mistakes=(Mistake("You doubled it.", lambda x: 2 * x),),
    ...     otherwise=Mistake("Your {given:.2g} is no half.", lambda x: x))
    >>> half(lambda x: None), half(lambda x: 8), half(lambda x: 3), half(lambda x: 0.5 * x)
    (not attempted yet, You doubled it., Your 3 is no half., Right.)
    """

    asks: str
    cases: Callable[[], Sequence[Case] | Mapping[str, Case]]
    returns: Callable
    right: Callable
    praise: str
    mistakes: tuple[Mistake, ...]
    otherwise: Mistake | None
    agree: Callable[..., bool] = close
    accepts: Callable[..., bool] | None = None
    tries: Callable | None = None
    numbers: Callable[..., dict] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.asks)

    def __repr__(self) -> str:
        return self.asks.partition("\n")[0]

    def __call__(self, solution: object) -> Answer:
        """Check one solution.

        Args:
            solution: The reader's function; None and `...` stand for an untouched stub.

        Returns:
            The sentence, and whether the solution is right.
        """
        try:
            attempt, given, case = attempted(solution), None, ()
            for name, case in self.named_cases():
                given = self.answer(attempt, case)
                if not self._right(given, case):
                    mistake = self._mistake(name, given, case)
                    if mistake is not None:
                        return not_right(self._said(mistake.sentence, given, case))
        except Stopped as stopped:
            return stopped.answer
        return Answer(True, self._said(self.praise, given, case))

    def named_cases(self) -> list[tuple[str, Case]]:
        """The cases with their names, which are their numbers where they have none.

        Returns:
            Pairs of a name and a tuple of arguments.
        """
        cases = self.cases()
        named = cases if isinstance(cases, Mapping) else {str(k): c for k, c in enumerate(cases)}
        return list(named.items())

    def answer(self, solution: Callable, case: Case) -> object:
        """What is judged of a solution on one case.

        Args:
            solution: A function with the reader's signature.
            case: Its arguments.

        Returns:
            What `tries` returns, else what `returns` reads.

        Raises:
            Stopped: By those two, with the sentence for what can't be judged.
        """
        if self.tries is not None:
            return self.tries(solution, *case)
        return self.returns(solution(*case), *case)

    def _right(self, given: object, case: Case) -> bool:
        if self.accepts is not None:
            return self.accepts(given, *case)
        return self.otherwise is not None and self.agree(given, self.answer(self.right, case))

    def _mistake(self, name: str, given: object, case: Case) -> Mistake | None:
        made = (m for m in self.mistakes if m.at in (None, name) and self._made(m, given, case))
        return next(made, self.otherwise)

    def _made(self, mistake: Mistake, given: object, case: Case) -> bool:
        if mistake.when is not None:
            return bool(mistake.when(given, *case))
        agree = mistake.agree or self.agree
        return mistake.at is not None or any(
            agree(given, self.answer(wrong, case)) for wrong in mistake.solutions
        )

    def _said(self, sentence: str, given: object, case: Case) -> str:
        numbers = self.numbers(given, *case) if self.numbers and "{" in sentence else {}
        return sentence.format(given=given, **numbers)
