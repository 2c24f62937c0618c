"""The exercises of the book: each says what is geometrically wrong, and never the answer.

One room for each chapter, which alone the chapter imports, and which names its exercises in
`__all__`; here is the frame that they share. An exercise takes the reader's function, tries it on
small data whose geometry is known, and returns an `Answer` that shows itself as one sentence when
it stands last in a cell. First used in `book/prologue`.

>>> from companion.book.exercises import prologue as exercises
>>> exercises.cube_step(lambda x, w, b: 0 * x)                         # doctest: +ELLIPSIS
A cube reaches the wall with a corner: every coordinate helps, ...
"""

from companion.book.exercises.answers import Answer
from companion.book.exercises.exercise import Exercise, Mistake

__all__ = ["Answer", "Exercise", "Mistake"]
