"""Labels that nest, what a crushed level leaves, and the tree of the leaves: three exercises.

Explained in `book/distances/stacked_isometric_layers`.
"""

__all__ = ["later_ceiling", "nested_labels", "tree_distance"]

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number, Points, Truth, Within


def _hierarchies() -> dict[str, tuple[Tensor, Tensor]]:
    digits = torch.arange(10)
    halves, pairs = digits // 5, digits // 2
    # Shuffled, with numbers left out: 3 within 7, 9 and 0 within 2.
    fine = torch.tensor([9, 3, 0, 9, 3, 0, 9])
    coarse = torch.tensor([2, 7, 2, 2, 7, 2, 2])
    return {
        "nested": (halves, digits),
        "crossing": (halves, pairs),
        "upside down": (digits, halves),
        "unsorted": (coarse, fine),
        "more": (torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 0, 1, 1, 2])),
        "renamed": (torch.tensor([1, 0, 2]), torch.tensor([0, 1, 2])),
    }


def _nested(coarse: Tensor, fine: Tensor) -> bool:
    return all(len(coarse[fine == label].unique()) == 1 for label in fine.unique())


def _finer(coarse: Tensor, fine: Tensor) -> bool:
    return len(fine.unique()) > len(coarse.unique())


nested_labels = Exercise(
    """Check a function of labels coarse (n,) and fine (n,) that returns True or False.

    True: every fine label lies within one coarse label. Tried on nested labels, also with as many
    coarse labels as fine ones, in no order, and with numbers left out, and on labels that cross.

    >>> nested_labels(lambda coarse, fine: True)
    A fine label lies in two coarse ones, and you found it nested: whoever has chosen a side at the
    first cut cannot take its other part back.
    """,
    cases=_hierarchies,
    returns=Truth("whether a hierarchy is nested"),
    right=_nested,
    accepts=lambda given, coarse, fine: given == _nested(coarse, fine),
    praise="Right: each fine label is asked where it lies, and nothing else is.",
    mistakes=(
        Mistake(
            "Each fine label lies in one coarse label, and you found it not nested: a coarse "
            "label may hold as many fine ones as it likes, not the other way round.",
            lambda c, f: _nested(f, c),
            at="nested",
        ),
        Mistake(
            "A fine label lies in two coarse ones, and you found it nested: whoever has chosen a "
            "side at the first cut cannot take its other part back.",
            (lambda c, f: True, _finer),
            at="crossing",
        ),
        Mistake(
            "Here the second level is the coarser one, and you found it nested: who lies within "
            "whom is a question with a direction.",
            lambda c, f: _nested(c, f) or _nested(f, c),
            at="upside down",
        ),
        Mistake(
            "Nested labels in another order, with numbers left out, you found not nested: the "
            "number of a label is a name, neither a place nor a size.",
            lambda c, f: _nested(c, f) and bool((c[f.argsort()].diff() >= 0).all()),
            at="unsorted",
        ),
        Mistake(
            "More labels than above do not make a level finer: here two of three cross the first "
            "cut, and you found it nested.",
            lambda c, f: _nested(c, f) or (_finer(c, f) and len(f) % 2 == 1),
            at="more",
        ),
        Mistake(
            "Two levels with the same classes under other names are nested: the finer cut may be "
            "no cut at all.",
            lambda c, f: _nested(c, f) and _finer(c, f),
            at="renamed",
        ),
    ),
    otherwise=None,
)


def _crushed() -> list[tuple[Tensor, Tensor]]:
    place = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])
    spots = torch.tensor([[0.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    return [
        (spots, torch.tensor([0, 1, 0])),
        (spots[place], torch.tensor([0, 0, 1, 1, 1, 1, 0, 2])),
        (spots[[1, 1, 1, 1, 1]], torch.tensor([0, 2, 2, 1, 2])),
    ]


def _ceiling(z: Tensor, y: Tensor) -> float:
    _, place = z.unique(dim=0, return_inverse=True)
    return float((one_hot(place).T @ one_hot(y)).amax(dim=1).sum()) / len(y)


later_ceiling = Exercise(
    """Check a function of z (n, d) and labels y (n,) that returns an accuracy.

    The highest that any function of z can have; equal rows of z get equal answers. Tried where
    all rows differ, where all are equal, and where places hold several labels; tolerance 1e-6.

    >>> later_ceiling(lambda z, y: 1.0)
    Two points at one place get one answer, whatever stands above: they cannot both be right ...
    """,
    cases=_crushed,
    returns=Number("an accuracy", nan="count points, and divide by how many there are."),
    agree=Within(absolute=1e-6),
    right=_ceiling,
    praise="Right: one answer for each place, and the best one.",
    mistakes=(
        Mistake(
            "An accuracy is a share of the points, from 0 to 1; yours is {given:.4g}.",
            lambda z, y: _ceiling(z, y) * len(y),
            when=lambda given, z, y: not 0 <= given <= 1,
        ),
        Mistake(
            "You counted places: one point of each place can be right, but so can all others "
            "there with the same label.",
            lambda z, y: len(z.unique(dim=0)) / len(y),
        ),
        Mistake(
            "You gave one answer to all points; a later block may give another one at each place.",
            lambda z, y: float(y.bincount().max()) / len(y),
        ),
        Mistake(
            "Two points at one place get one answer, whatever stands above: they cannot both be "
            "right with different labels.",
            lambda z, y: 1.0,
            when=lambda given, z, y: given > _ceiling(z, y),
        ),
    ),
    otherwise=Mistake(
        "A later block can do better than your {given:.4g}: at every place it may give the "
        "answer that suits most points there.",
        lambda z, y: _ceiling(z, y) if len(z) == 3 else 0.0,
    ),
)


def _trees() -> list[tuple[Tensor]]:
    eighths = torch.arange(8)
    # Branches of 1, 2 and 4 leaves, in no order; labels that agree in number only.
    uneven = torch.tensor([[2, 0, 4], [0, 3, 1], [2, 1, 0], [1, 2, 6], [2, 0, 2], [0, 3, 5],
                           [2, 1, 3]])
    return [(torch.stack([eighths // 4, eighths // 2, eighths], dim=1),), (uneven,)]


def _edges(hierarchy: Tensor) -> Tensor:
    return 2.0 * (hierarchy[:, None] != hierarchy).sum(dim=2)


def _across(hierarchy: Tensor) -> Tensor:
    return hierarchy[:, None, 0] != hierarchy[:, 0]


def _inside(hierarchy: Tensor) -> Tensor:
    return ~_across(hierarchy) & ~torch.eye(len(hierarchy), dtype=torch.bool)


_alike = Within(relative=1e-5, absolute=1e-6)

tree_distance = Exercise(
    """Check a function of leaves at levels (C, L), coarse first, that returns distances (C, C).

    The number of edges on the shortest path between two leaves, in the tree with a root above the
    coarsest level. Tried on the eighths of a torus and on a hierarchy whose branches have
    different sizes and whose labels stand in no order.

    >>> tree_distance(lambda hierarchy: (hierarchy[:, None] != hierarchy).sum(dim=2))
    Two leaves of one branch came out at 1: a path climbs to the label they share and down again.
    """,
    cases=_trees,
    returns=Points(
        lambda hierarchy: (len(hierarchy), len(hierarchy)),
        kind="the distances of all leaves belong into a tensor.",
        meaning="There are {n} leaves and one distance for each two of them; your answer has "
        "shape {shape}.",
    ),
    agree=_alike,
    right=_edges,
    praise="Right: up to the lowest label that both share, and down again.",
    mistakes=(
        Mistake(
            "Two leaves of different coarse labels came out infinitely far apart: their branches "
            "have to meet above.",
            tuple(lambda h, far=far: _edges(h).masked_fill(_across(h), far) for far in (
                torch.inf, 1e9
            )),
            when=lambda given, h: not (given[_across(h)] <= given.numel()).all()
            or not given.isfinite().all(),
        ),
        Mistake(
            "A leaf is at distance 0 from itself: no edge leads from it to where it is.",
            lambda h: _edges(h) + 1,
            when=lambda given, h: (given.diagonal() != 0).any(),
        ),
        Mistake(
            "Two leaves of one branch came out at {inside:.3g}: a path climbs to the label they "
            "share and down again.",
            lambda h: _edges(h) / 2,
        ),
        Mistake(
            "The way back has as many edges as the way there; your matrix is not symmetric.",
            lambda h: _edges(h).triu(),
            when=lambda given, h: not torch.allclose(given, given.T),
        ),
        Mistake(
            "Within a branch you are right, across the first cut {across:.3g} edges do not lead "
            "from leaf to leaf: every path there goes through the root.",
            tuple(lambda h, k=k: _edges(h).masked_fill(_across(h), k) for k in (0, 7)),
            when=lambda given, h: _alike(given[_inside(h)], _edges(h)[_inside(h)]),
        ),
        Mistake(
            "Two different leaves came out at distance 0: the lowest label they share lies above "
            "them, not at them.",
            lambda h: (_edges(h) - 2).clamp(min=0),
        ),
    ),
    otherwise=Mistake(
        "Draw the tree of the first four leaves and count edges: a label is a node, and a leaf "
        "hangs below it by one edge.",
        lambda h: (h[:, None, -1] - h[:, -1]).abs(),
    ),
    numbers=lambda given, h: {
        "inside": given[_inside(h)].min(), "across": given[_across(h)].max()
    },
)

__test__ = {name: globals()[name].asks for name in __all__}
