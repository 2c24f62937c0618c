"""Every exercise of the book: what is right, what each mistake is told, what never stops a page.

The right solution and the wrong ones are the exercise's own; other right solutions, and what only
one exercise has, are in the test files of the chapters.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import string
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.book import exercises as frame
from companion.book.exercises import Exercise, Mistake, answers
from companion.book.exercises.readings import Number, Parts, Points, Truth, Within, close

# How many sentences for wrong answers each exercise has, and how many solutions that get them: a
# mistake that is lost on the way is missed here.
KNOWN = {
    "isometric_regularization": {
        "flattering_attack": (11, 21),
        "isometry_penalty_by_hand": (16, 27),
        "matched_stop": (6, 10),
        "off_the_data": (8, 9),
        "scale_gauge": (15, 19),
    },
    "metric_structure": {
        "pairwise_distances": (11, 17),
        "tear_untrained": (4, 6),
        "within_class_correlation": (9, 14),
    },
    "prologue": {
        "block_directions": (4, 6),
        "classifier_margin": (7, 11),
        "cube_step": (4, 6),
        "linearised_step": (5, 5),
        "median_line": (4, 9),
    },
    "rulers": {
        "blind_rulers": (6, 6),
        "intrinsic_dimension": (7, 11),
        "rigid_copy": (7, 7),
    },
    "stacked_isometric_layers": {
        "frozen_step": (6, 9),
        "later_ceiling": (5, 5),
        "nested_labels": (6, 7),
        "shape_penalty": (4, 5),
        "tree_distance": (7, 9),
    },
}
BOOK = Path(__file__).resolve().parents[1] / "book"
ROOMS = {room: importlib.import_module(f"companion.book.exercises.{room}") for room in KNOWN}
EXERCISES = {name: getattr(room, name) for room in ROOMS.values() for name in room.__all__}

each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


def all_mistakes(exercise: Exercise) -> list[Mistake]:
    return [*exercise.mistakes, *([exercise.otherwise] if exercise.otherwise else [])]


MADE = {
    f"{name}: {mistake.sentence[:40]} {k}": (exercise, mistake, wrong)
    for name, exercise in EXERCISES.items()
    for mistake in all_mistakes(exercise)
    for k, wrong in enumerate(mistake.solutions)
}
each_wrong_solution = pytest.mark.parametrize("made", MADE.values(), ids=MADE)


class Remembering(Exercise):
    """An exercise that asks each of its own solutions once on each of its cases.

    Every reader's answer is compared with those of all wrong solutions; some of them are loops
    by hand.
    """

    def answer(self, solution, case):
        known = ANSWERS.setdefault(self.asks, {})
        where = solution, id(case)
        if solution not in OWN:
            return super().answer(solution, case)
        if where not in known:
            try:
                known[where] = super().answer(solution, case), None
            except answers.Stopped as stopped:
                known[where] = None, stopped
        given, stopped = known[where]
        if stopped is not None:
            raise stopped
        return given


CASES = {exercise.asks: exercise.cases() for exercise in EXERCISES.values()}
OWN = {wrong for _, _, wrong in MADE.values()} | {one.right for one in EXERCISES.values()}
ANSWERS: dict[str, dict] = {}


def remembering(exercise: Exercise, **changed) -> Remembering:
    fields = {f.name: getattr(exercise, f.name) for f in dataclasses.fields(exercise)}
    fields["cases"] = lambda: CASES[exercise.asks]
    return Remembering(**fields | changed)


def says(answer: answers.Answer, sentence: str) -> bool:
    """Whether the answer is this sentence, with some numbers in the places of its braces."""
    parts = [
        re.escape(text) + ("" if field is None else r"\S.*?")
        for text, field, _, _ in string.Formatter().parse(sentence)
    ]
    return answer.right is False and bool(re.fullmatch("".join(parts), answer.sentence))


def is_right(exercise: Exercise, answer: answers.Answer) -> bool:
    return answer.right is True and says(answers.not_right(answer.sentence), exercise.praise)


# ---- right, wrong ----------------------------------------------------------------------------


@each_exercise
def test_the_right_solution_is_right(exercise):
    assert exercise.praise.startswith("Right")
    assert is_right(exercise, exercise(exercise.right))


@each_wrong_solution
def test_a_wrong_solution_gets_the_sentence_of_its_mistake(made):
    exercise, mistake, wrong = made
    answer = exercise(wrong)
    assert says(answer, mistake.sentence), answer
    assert "{" not in answer.sentence and not answer.sentence.startswith("Right:")


@each_wrong_solution
def test_a_mistake_that_is_left_out_is_not_told(made):
    exercise, mistake, wrong = made
    if mistake is exercise.otherwise:
        less = remembering(exercise, otherwise=None)
    elif mistake.when is None and mistake.at is None and len(mistake.solutions) > 1:
        rest = tuple(other for other in mistake.solutions if other is not wrong)
        with_rest = dataclasses.replace(mistake, wrong=rest)
        swapped = tuple(with_rest if m is mistake else m for m in exercise.mistakes)
        less = remembering(exercise, mistakes=swapped)
    else:
        left = tuple(m for m in exercise.mistakes if m is not mistake)
        less = remembering(exercise, mistakes=left)
    assert not says(less(wrong), mistake.sentence)


@pytest.mark.parametrize("room", ROOMS)
def test_no_mistake_is_lost(room):
    found = {
        name: (
            len({mistake.sentence for mistake in all_mistakes(EXERCISES[name])}),
            sum(len(mistake.solutions) for mistake in all_mistakes(EXERCISES[name])),
        )
        for name in ROOMS[room].__all__
    }
    assert found == KNOWN[room]


def widened(agree):
    """Five times the tolerance to the largest entry, twice any other one."""
    if not isinstance(agree, Within):
        return partial(agree, by=Within(largest=5e-3))
    return Within(5 * agree.largest, 2 * agree.relative, 2 * agree.absolute)


@each_exercise
def test_mistakes_differ_by_more_than_the_tolerance(exercise):
    if getattr(exercise.agree, "relative", 0.0) > 0.01:
        return  # so wide that another estimator passes
    mistakes = tuple(
        dataclasses.replace(mistake, agree=mistake.agree and widened(mistake.agree))
        for mistake in exercise.mistakes
    )
    wide = remembering(exercise, agree=widened(exercise.agree), mistakes=mistakes)
    compared = [m for m in all_mistakes(wide) if m.when is None and m.at is None]
    for mistake in compared:
        for wrong in mistake.solutions:
            assert says(wide(wrong), mistake.sentence)


@each_exercise
def test_the_docstring_asks_and_shows_a_call(exercise):
    assert exercise.__doc__ == exercise.asks
    assert repr(exercise).startswith("Check a function") and "\n" not in repr(exercise)
    assert ">>> " in exercise.asks


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_a_chapter_and_shows_its_doctests(room):
    (notebook,) = BOOK.rglob(f"{room}.ipynb")
    chapter = notebook.relative_to(BOOK.parent).with_suffix("").as_posix()
    assert ROOMS[room].__doc__.startswith(f"The exercises of `{chapter}`")
    files = [ROOMS[room], *(m for m in vars(ROOMS[room]).values() if inspect.ismodule(m))]
    shown = {n: asks for file in files for n, asks in getattr(file, "__test__", {}).items()}
    assert shown == {name: EXERCISES[name].asks for name in ROOMS[room].__all__}


@pytest.mark.parametrize("room", ROOMS)
def test_a_chapter_imports_its_own_room_alone(room):
    (notebook,) = BOOK.rglob(f"{room}.ipynb")
    text = notebook.read_text(encoding="utf-8")
    imported = re.findall(r"companion\.book\.exercises[^\\]*", text)
    assert imported == [f"companion.book.exercises import {room} as exercises"]


def test_the_frame_imports_no_room():
    tree = ast.parse(Path(frame.__file__).read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported == [f"{frame.__name__}.answers", f"{frame.__name__}.exercise"]


# ---- what never stops a page -----------------------------------------------------------------


def not_implemented(*case):
    raise NotImplementedError


@each_exercise
@pytest.mark.parametrize("stub", [lambda *_: None, lambda *_: ..., not_implemented, None, ...])
def test_an_untouched_stub_is_not_attempted_yet(exercise, stub):
    answer = exercise(stub)
    assert repr(answer) == "not attempted yet"
    assert answer.right is None


@each_exercise
def test_what_is_no_function_is_named(exercise):
    sentence = "The check needs your function itself, not a {kind}: pass its name without"
    assert exercise(3.0).sentence.startswith(sentence.format(kind="float"))
    assert exercise(torch.ones(2)).sentence.startswith(sentence.format(kind="Tensor"))


@each_exercise
def test_an_error_of_the_reader_does_not_stop_the_page(exercise):
    answer = exercise(lambda *case: case[7])
    assert answer.right is False
    assert answer.sentence.startswith("Your function stopped with IndexError (tuple index out")


@each_exercise
def test_a_function_gets_copies(exercise):
    def overwrites(*case):
        found = exercise.right(*case)
        for given in case:
            if isinstance(given, torch.Tensor):
                given.zero_()
        return found

    assert is_right(exercise, exercise(overwrites))


def changed_part(found, *, k, change):
    return [*found[:k], change(found[k]), *found[k + 1 :]]


def refusals(returns):
    """Changes of a right answer that can't be read, each with its sentence."""
    if isinstance(returns, Parts):
        yield (lambda found: "words"), returns.asked
        yield (lambda found: found[:-1]), returns.asked
        for k, part in enumerate(returns.each):
            for change, sentence in refusals(part):
                yield partial(changed_part, k=k, change=change), sentence
    elif isinstance(returns, Number):
        sentence = f"Your function returned a {{given}} entries; {returns.what} is one number."
        yield (lambda found: "words"), sentence.format(given="str with 1")
        yield (lambda found: [found, found]), sentence.format(given="list with 2")
        yield (lambda found: torch.ones(3, 2)), sentence.format(given="Tensor with 6")
        if returns.nan is not None:
            sentence = f"Your answer is not a number (NaN): {returns.nan}"
            yield (lambda found: found * torch.nan), sentence
    elif isinstance(returns, Truth):
        sentence = f"Your function returned a {{given}} entries; {returns.what} is one answer, "
        yield (lambda found: "words"), sentence.format(given="str with 1") + "True or False."
        yield (lambda found: [found] * 3), sentence.format(given="list with 3") + "True or False."
        yield (lambda found: 0.5), sentence.format(given="float with 1") + "True or False."
    elif isinstance(returns, Points):
        yield (lambda found: "words"), f"Your function returned a str; {returns.kind}"
        yield (lambda found: found.tolist()), f"Your function returned a list; {returns.kind}"
        yield (lambda found: found * 1j), f"Your function returned a Tensor; {returns.kind}"
        yield (lambda found: found[None, None]), returns.meaning
        if returns.nan is not None:
            yield (lambda found: found * torch.nan), returns.nan
            yield (lambda found: found + torch.inf), returns.nan


@each_exercise
def test_what_cannot_be_read_gets_its_sentence(exercise):
    of_its_own = exercise in (EXERCISES["frozen_step"], EXERCISES["off_the_data"])
    assert bool(list(refusals(exercise.returns))) is not of_its_own
    for change, sentence in refusals(exercise.returns):
        answer = exercise(lambda *case, change=change: change(exercise.right(*case)))
        assert says(answer, sentence), answer


@each_exercise
@pytest.mark.parametrize("filled", [torch.nan, torch.inf, -torch.inf, 1e300, 0.0])
def test_no_number_stops_the_page(exercise, filled):
    def changed(found):
        if isinstance(found, (tuple, list)):
            return [changed(part) for part in found]
        if callable(found):
            return lambda points: changed(found(points))
        return torch.full_like(torch.as_tensor(found, dtype=torch.float64), filled)

    answer = exercise(lambda *case: changed(exercise.right(*case)))
    # A step is judged by what it moves, not by what it returns.
    assert answer.right is (exercise is EXERCISES["frozen_step"])
    assert not answer.sentence.startswith("Your function stopped")


# ---- the frame -------------------------------------------------------------------------------


def test_answers_are_the_same_within_a_tolerance_and_infinity_is_near_nothing():
    assert close(1000.5, 1000.0) and not close(1002.0, 1000.0)
    assert close(torch.tensor([1000.0, 0.5]), torch.tensor([1000.0, 0.0]))
    each = Within(relative=1e-3, absolute=1e-3)
    assert each(torch.tensor([1000.5, 0.0005]), torch.tensor([1000.0, 0.0]))
    assert not each(torch.tensor([1000.0, 0.5]), torch.tensor([1000.0, 0.0]))
    for agree in (close, each):
        assert not agree(8.0, torch.inf) and not agree(torch.inf, 8.0)
        assert not agree(torch.inf, -torch.inf) and not agree(torch.nan, torch.nan)
        assert agree(torch.inf, torch.inf)
        assert not agree(torch.tensor([8.0, 1.0]), torch.tensor([torch.inf, 1.0]))
        assert not agree(torch.tensor([torch.nan, 1.0]), torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize(
    "found", [2, 2.0, np.float32(2), np.array([2.0]), torch.full((1, 1), 2.0, requires_grad=True)]
)
def test_one_number_is_read_from_whatever_holds_it(found):
    assert Number("a length")(found) == 2.0


@pytest.mark.parametrize(
    "found, entries",
    [
        ([[1], [1, 2]], "list with 2"),
        ((torch.ones(2), torch.ones(3)), "tuple with 2"),
        ({"a": 1.0}, "dict with 1"),
        (1j, "complex with 1"),
        (np.ones((2, 0)), "ndarray with 0"),
        (object(), "object with 1"),
    ],
)
def test_what_is_no_number_is_named(found, entries):
    with pytest.raises(answers.Stopped, match=f"returned a {entries} entries; a length is one"):
        Number("a length")(found)


def test_points_are_read_from_any_layout_and_dtype():
    read = Points(lambda: (3, None), kind="kind.", meaning="{shape}, not {asked}: {n} points.")
    for found in (np.ones((6, 2))[::-2], np.ones((3, 2), dtype=bool), torch.ones(3, 2).half()):
        assert torch.equal(read(found), torch.ones(3, 2, dtype=torch.float64))
    for found in (np.array(["a", "b", "c"]), np.array([None] * 3), np.ones((3, 2)) * 1j):
        with pytest.raises(answers.Stopped, match="Your function returned a ndarray; kind."):
            read(found)
    with pytest.raises(answers.Stopped, match=r"\(2, 2\), not \(3, None\): 3 points."):
        read(torch.ones(2, 2))


def test_a_mistake_is_told_on_its_case_alone_and_the_first_that_fits_wins():
    exercise = Exercise(
        "Check a function that halves.",
        cases=lambda: {"small": (4.0,), "large": (100.0,)},
        returns=Number("a half"),
        right=lambda x: x / 2,
        praise="Right: {given:.3g} of {given:.3g}.",
        mistakes=(
            Mistake("Too large for {x:.3g}.", lambda x: 9.0, when=lambda given, x: given > x),
            Mistake("Wrong at last.", lambda x: x, at="large"),
            Mistake("Doubled.", (lambda x: 2 * x, lambda x: x * x), agree=Within(absolute=1.0)),
        ),
        otherwise=Mistake("No half.", lambda x: 0.0),
        numbers=lambda given, x: {"x": x},
    )
    assert exercise(lambda x: 2 * x).sentence == "Too large for 4."
    assert exercise(lambda x: x).sentence == "No half."
    assert exercise(lambda x: 2.0).sentence == "Wrong at last."
    assert exercise(lambda x: x / 2).sentence == "Right: 50 of 50."
    less = dataclasses.replace(exercise, mistakes=exercise.mistakes[1:])
    assert less(lambda x: 16.5).sentence == "Doubled."
    with pytest.raises(KeyError):
        # A sentence that names what no `numbers` give would stop the page, and is seen at once.
        dataclasses.replace(exercise, numbers=None)(lambda x: 9.0)
