"""A measured quantity held against a bound: its interval over seeds, and what came out.

Explained in the chapter `book/distances/metric_structure`.
"""

__all__ = ["Measured", "bound", "interval", "numbers", "over", "test"]

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real

from companion import run

# Empty, it keeps pytest from taking the function `test` for a test; doctest expects a dictionary.
__test__: dict[str, str] = {}

#: Fewer values than this say nothing about their spread.
ENOUGH = 3


@dataclass(frozen=True)
class Measured:
    """A measured quantity held against a bound, as `test` and `over` return it (in its unit).

    Attributes:
        values: One number per seed.
        mean: Their mean.
        low: The lower end of the interval.
        high: The upper end.
        at_least: The smallest value that meets the bound, or None.
        at_most: The largest value that meets it, or None.
        exact: Whether nothing was drawn, so that fewer than three values decide.
        outcome: "met", "missed" or "undecided".
        other: From `over`, the other side's own values, one per seed; otherwise None.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    at_least: float | None
    at_most: float | None
    exact: bool
    outcome: str
    other: tuple[float, ...] | None = None

    @property
    def bound(self) -> str:
        """The bound in words, as "at least 0.2"."""
        return bound(self.at_least, self.at_most)

    def __str__(self) -> str:
        return f"{interval(asdict(self))}, {self.bound}: {self.outcome}"


def test(
    measured: object,
    *,
    at_least: float | int | None = None,
    at_most: float | int | None = None,
    between: tuple[float | int, float | int] | None = None,
    exact: bool = False,
) -> Measured:
    """Hold a measured quantity against one bound (all numbers in the quantity's unit).

    The interval is that of `run.interval`: 90 % by Student's t for three values or more, so "met"
    is a test at 5 %; the range for fewer, which decides nothing unless nothing was drawn.

    Args:
        measured: A number, or one value per seed (list, tuple, 1-D tensor or array).
        at_least: The smallest value that meets the bound; by default no such bound.
        at_most: The largest value that meets it; by default no such bound.
        between: The smallest and the largest; by default no such bound.
        exact: Whether nothing is drawn (a closed form, a count in a set that was built), so that
            one or two values decide; by default they do not.

    Returns:
        Its values, mean and interval with the outcome, which is "met" if every number of the
        interval meets the bound (which itself belongs to it), "missed" if none does, otherwise,
        and for fewer than three values that are not exact, "undecided".

    Raises:
        ValueError: For no value, NaN, infinity, or anything but exactly one bound.
        TypeError: For what is no number.

    >>> print(test([1, 2, 3], at_least=0.2))            # s = 1 and t = 2.92, so 2 ± 2.92/√3
    2 (0.3141 to 3.686), at least 0.2: met
    >>> print(test(2, at_least=0.2))
    2, at least 0.2: undecided
    """
    floor, ceiling = _ends(at_least=at_least, at_most=at_most, between=between)
    return _held(numbers(measured, "measured"), floor, ceiling, exact)


def over(
    effect: object,
    other: object,
    *,
    at_least: float | int | None = None,
    at_most: float | int | None = None,
    exact: bool = False,
) -> Measured:
    """Hold what is left of an effect over a control or a rival against a bound of its own.

    The two are differenced seed by seed, effect - other, since what a seed does to both cancels.
    An effect that is claimed to be large is held with `at_least`; one that is claimed to be small
    leaves a negative difference, so with `at_most`, as in at_most=-0.1.

    Args:
        effect: The effect, one value per seed (all numbers in its unit).
        other: The same quantity where the control or the rival stands in, for the same seeds in
            the same order.
        at_least: The smallest difference that meets the bound; by default no such bound.
        at_most: The largest difference that meets it; by default no such bound.
        exact: As in `test`.

    Returns:
        As `test` for the differences, with the other side's own values beside them.

    Raises:
        ValueError: As `test`, and for two sides that do not pair up.
        TypeError: For what is no number.

    >>> print(over([5, 7, 9], [4, 5, 6], at_least=0.2))
    2 (0.3141 to 3.686), at least 0.2: met
    """
    floor, ceiling = _ends(at_least=at_least, at_most=at_most)
    values, others = numbers(effect, "effect"), numbers(other, "other")
    if len(values) != len(others):
        raise ValueError(
            f"effect has {len(values)} values and other {len(others)}, but they are differenced "
            "seed by seed: measure both with the same seeds, or pass those that they share"
        )
    left = tuple(own - theirs for own, theirs in zip(values, others, strict=True))
    return _held(left, floor, ceiling, exact, others)


def bound(at_least: float | int | None, at_most: float | int | None) -> str:
    """A bound in words (in the unit of what it bounds).

    Args:
        at_least: The smallest value that meets it, or None.
        at_most: The largest value that meets it, or None.

    Returns:
        The words.

    >>> bound(0.05, None), bound(None, -3.0), bound(0.9, 1.1)
    ('at least 0.05', 'at most −3', 'between 0.9 and 1.1')
    """
    if at_most is None:
        return f"at least {_digits(at_least)}"
    if at_least is None:
        return f"at most {_digits(at_most)}"
    return f"between {_digits(at_least)} and {_digits(at_most)}"


def _digits(value: float | int) -> str:
    return f"{value:.12g}".replace("-", "−")


def interval(part: Mapping) -> str:
    """Mean and interval of a test in words; a single value stands alone.

    Args:
        part: The fields of a `Measured`, by name.

    Returns:
        The words.
    """
    mean, low, high = (f"{part[word]:.4g}" for word in ("mean", "low", "high"))
    return mean if len(part["values"]) == 1 else f"{mean} ({low} to {high})"


def _held(
    values: tuple[float, ...],
    floor: float | None,
    ceiling: float | None,
    exact: bool,
    other: tuple[float, ...] | None = None,
) -> Measured:
    low, high = run.interval(values)
    lowest = -math.inf if floor is None else floor
    highest = math.inf if ceiling is None else ceiling
    if len(values) < ENOUGH and not exact:
        outcome = "undecided"
    elif lowest <= low and high <= highest:
        outcome = "met"
    elif high < lowest or low > highest:
        outcome = "missed"
    else:
        outcome = "undecided"
    mean = statistics.mean(values)
    return Measured(values, mean, low, high, floor, ceiling, bool(exact), outcome, other)


def _ends(**given: object) -> tuple[float | None, float | None]:
    words = ["at_least=", "at_most="] + ["between=(low, high)"] * ("between" in given)
    given = {word: value for word, value in given.items() if value is not None}
    if len(given) != 1:
        raise ValueError(
            f"{len(given)} bounds were given ({', '.join(given) or 'none'}), exactly one is "
            f"needed: pass {', '.join(words[:-1])} or {words[-1]}"
        )
    ((word, value),) = given.items()
    ends = numbers(value, word)
    if word == "between" and not (len(ends) == 2 and ends[0] < ends[1]):
        raise ValueError(
            f"between is {value!r}, but a lower and a higher bound are needed: pass "
            "between=(low, high)"
        )
    if word != "between" and len(ends) != 1:
        raise ValueError(
            f"{word} is {value!r}, but one number is needed: pass a bound that is the same for "
            "every seed"
        )
    return (
        None if word == "at_most" else ends[0],
        None if word == "at_least" else ends[-1],
    )


def numbers(given: object, name: str) -> tuple[float, ...]:
    """A number, or one per seed, as finite floats.

    Args:
        given: A number, a list, a 1-D tensor or array.
        name: What the sentence of an error calls it.

    Returns:
        At least one float.

    Raises:
        TypeError: For anything else.
        ValueError: For no number, NaN and infinity.
    """
    plain = given.tolist() if hasattr(given, "tolist") else given
    plain = [plain] if isinstance(plain, Real) else plain
    if isinstance(plain, (str, bytes, Mapping)) or not isinstance(plain, Iterable):
        raise TypeError(
            f"{name} is a {type(given).__name__}, but numbers are needed: pass a number or one "
            "number per seed (list, 1-D tensor or array)"
        )
    plain = list(plain)
    if not plain:
        raise ValueError(f"{name} is empty, but at least one number is needed: pass one per seed")
    values = []
    for place, value in enumerate(plain, 1):
        single = hasattr(value, "item") and getattr(value, "ndim", 0) == 0
        value = value.item() if single else value
        if not isinstance(value, Real):
            raise TypeError(
                f"value {place} of {len(plain)} of {name} is a {type(value).__name__}, but one "
                "number per seed is needed: reduce each seed to a single number first"
            )
        if not math.isfinite(value):
            what = "NaN" if math.isnan(value) else "infinite"
            raise ValueError(
                f"value {place} of {len(plain)} of {name} is {what}, but every value must be a "
                "finite number: look for the seed or the layer it comes from"
            )
        values.append(float(value))
    return tuple(values)
