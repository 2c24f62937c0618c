"""The ledger: what a chapter claims, how it was tested, and whether this run agrees.

A claim is stated once, in its chapter, with the numbers it was measured from, the bound it has to
meet, the controls that could take it apart and the verdict recorded for each data set. The verdict
is derived from the numbers on every run; the build stops where it differs from the recorded one.
`measured` holds numbers against a bound, `record` compares verdicts, `table` shows them beside the
kept ones. Every chapter uses this room; `book/distances/metric_structure` is the first to explain
it.
"""

from companion.book.claims.measured import Measured, bound, over, test
from companion.book.claims.record import ClaimDiffers, check, column, say
from companion.book.claims.table import beside

__all__ = [
    "ClaimDiffers",
    "Measured",
    "beside",
    "bound",
    "check",
    "column",
    "over",
    "say",
    "test",
]


def __dir__() -> list[str]:
    return __all__
