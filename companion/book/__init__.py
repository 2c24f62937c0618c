"""What only the chapters need: claims, exercises, living figures and kept results.

Nothing outside this folder imports it, so who wants the instruments alone reads past it. Each of
its rooms names the chapter that uses it first; `book/prologue` uses three of the four.

>>> from companion.book import claims
"""

import importlib
from types import ModuleType

__all__ = ["claims", "exercises", "results", "widgets"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"companion.book.{name}")
    raise AttributeError(f"module 'companion.book' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
