"""Measured numbers as they are printed on the book's pages: no more digits than they carry."""

import math

__all__ = ["interval", "mean_and_spread", "number"]


def number(value: float, *, like: float | None = None, digits: int = 3) -> str:
    """Three significant digits, counted at `like` if given, without an exponent where readable.

    >>> number(0.23412), number(12345.6), number(0.001, like=0.23)
    ('0.234', '12300', '0.001')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value if like is None else like)
    places = digits - 1 - math.floor(math.log10(size)) if size else 0
    if places > 6:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{round(value, places):.{max(places, 0)}f}"
    return text.replace("-", "−")


def interval(test: dict) -> tuple[str, str]:
    """Mean of a test and its interval in words, equally fine; an empty one for a single value."""
    mean, low, high = test["mean"], test["low"], test["high"]
    like = max((abs(v) for v in (mean, low, high) if math.isfinite(v)), default=1.0)
    if len(test["values"]) == 1:
        return number(mean), ""
    ends = f"{number(low, like=like)} to {number(high, like=like)}"
    return number(mean, like=like), f"({ends})"


def mean_and_spread(values: list[float]) -> str:
    """Mean over the seeds and their standard deviation; the number itself for a single seed."""
    if not values:
        return ""
    mean = sum(values) / len(values)
    if len(values) == 1 or not math.isfinite(mean):
        return number(mean)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    # As fine as the larger of the two, unless nothing would be left of a small spread.
    like = max(abs(mean), spread)
    fine = {"like": like} if spread >= 0.005 * like else {"digits": 1}
    return f"{number(mean, like=like)} ± {number(spread, **fine)}"
