"""A measured quantity held against a bound: its interval over seeds, and what came out.

Explained in the chapter `book/distances/metric_structure`.
"""

__all__ = ["Measured", "interval", "numbers", "test"]

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real

from companion import run

# Empty, it keeps pytest from taking the function `test` for a test; doctest expects a dictionary.
__test__: dict[str, str] = {}


@dataclass(frozen=True)
class Measured:
    """A measured quantity held against a bound, as `test` returns it (in the quantity's unit).

    Attributes:
        values: One number per seed.
        mean: Their mean.
        low: The lower end of the interval.
        high: The upper end.
        bound: In words, as "at least 0.2".
        outcome: "met", "missed" or "undecided".
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    bound: str
    outcome: str

    def __str__(self) -> str:
        return f"{interval(asdict(self))}, {self.bound}: {self.outcome}"


def test(
    measured: object,
    *,
    at_least: float | int | None = None,
    at_most: float | int | None = None,
    between: tuple[float | int, float | int] | None = None,
) -> Measured:
    """Hold a measured quantity against one bound (all numbers in the quantity's unit).

    The interval is that of `run.interval`: 90 % by Student's t for three values or more, the range
    for two, the value itself for one. So "met" is a test at 5 %.

    Args:
        measured: A number, or one value per seed (list, tuple, 1-D tensor or array). Paired
            quantities: pass the differences per seed.
        at_least: The smallest value that meets the bound; by default no such bound.
        at_most: The largest value that meets it; by default no such bound.
        between: The smallest and the largest; by default no such bound.

    Returns:
        Its values, mean and interval with the outcome, which is "met" if every number of the
        interval meets the bound (which itself belongs to it), "missed" if none does, otherwise
        "undecided".

    Raises:
        ValueError: For no value, NaN, infinity, or anything but exactly one bound.
        TypeError: For what is no number.

    >>> print(test([1, 2, 3], at_least=0.2))            # s = 1 and t = 2.92, so 2 ± 2.92/√3
    2 (0.3141 to 3.686), at least 0.2: met
    """
    values = numbers(measured, "measured")
    floor, ceiling, bound = _bound(at_least, at_most, between)
    mean = statistics.mean(values)
    low, high = run.interval(values)
    if floor <= low and high <= ceiling:
        outcome = "met"
    elif high < floor or low > ceiling:
        outcome = "missed"
    else:
        outcome = "undecided"
    return Measured(values, mean, low, high, bound, outcome)


def interval(part: Mapping) -> str:
    """Mean and interval of a test in words; a single value stands alone.

    Args:
        part: The fields of a `Measured`, by name.

    Returns:
        The words.
    """
    mean, low, high = (f"{part[word]:.4g}" for word in ("mean", "low", "high"))
    return mean if len(part["values"]) == 1 else f"{mean} ({low} to {high})"


def _bound(at_least: object, at_most: object, between: object) -> tuple[float, float, str]:
    given = {"at_least": at_least, "at_most": at_most, "between": between}
    given = {word: value for word, value in given.items() if value is not None}
    if len(given) != 1:
        raise ValueError(
            f"{len(given)} bounds were given ({', '.join(given) or 'none'}), exactly one is "
            "needed: pass at_least=, at_most= or between=(low, high)"
        )
    ((word, value),) = given.items()
    ends = numbers(value, word)
    fits = len(ends) == 2 and ends[0] < ends[1] if word == "between" else len(ends) == 1
    if not fits:
        form = "a lower and a higher bound are" if word == "between" else "one number is"
        raise ValueError(
            f"{word} is {value!r}, but {form} needed: at_least= and at_most= take a number, "
            "between= takes (low, high)"
        )
    if word == "at_least":
        return ends[0], math.inf, f"at least {ends[0]:.12g}"
    if word == "at_most":
        return -math.inf, ends[0], f"at most {ends[0]:.12g}"
    return ends[0], ends[1], f"between {ends[0]:.12g} and {ends[1]:.12g}"


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
