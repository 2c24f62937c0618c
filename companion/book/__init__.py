"""What only the chapters need: claims, exercises, living figures and kept results.

Nothing outside this folder imports it, so who wants the instruments alone reads past it. Each of
its rooms names the chapter that uses it first; `book/prologue` uses three of the four.

>>> from companion.book import claims
"""

__all__: list[str] = []
