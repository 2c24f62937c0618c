"""Attacks: within a budget, the change of the input that a classifier's answer stands least.

Explained in the chapter `book/distances/isometric_regularization`; done by hand in the prologue.
"""

from companion.attacks.steps import fgsm, pgd
from companion.attacks.worst import withstood

__all__ = ["fgsm", "pgd", "withstood"]


def __dir__() -> list[str]:
    return __all__
