"""Looks: the colour, marker and line style that belong to a network or a method everywhere."""

__all__ = ["LOOKS", "METHODS", "NEUTRAL", "Look", "look", "looks"]

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How one thing is drawn.

    Attributes:
        color: As matplotlib takes it.
        marker: As matplotlib takes it.
        linestyle: As matplotlib takes it.
        label: Its name in a legend.
    """

    color: str
    marker: str | tuple[int, int, int]
    linestyle: str | tuple[int, tuple[float | int, ...]]
    label: str


# Chosen by computation. In each of the three groups every colour has contrast 3 or more against
# white, and any two stay apart in full colour vision and in its three simulated deficiencies; so
# do networks and methods, which meet in one figure. No marker occurs twice.
#: The five reference networks. Memorized network and twin share a hue.
LOOKS = {
    "trained": Look("#0072B2", "o", "-", "trained"),
    "untrained": Look("#808080", "s", "--", "untrained"),
    "memorized": Look("#A6320A", "^", "-.", "memorized"),
    "trained_small": Look("#CC8400", "D", (0, (1, 1)), "trained, small set"),
    "linear": Look("#1A1A1A", "v", (0, (6, 1, 1, 1, 1, 1)), "linear"),
}

#: Ways to train that several chapters compare.
METHODS = {
    "plain": Look("#5C0B02", "X", (0, (4, 1.5)), "plain"),
    "isometric": Look("#EA6A5D", "P", "-", "isometric"),
    "scale-only": Look("#6209EA", "p", (0, (6, 1.5, 1.5, 1.5)), "scale-only"),
    "weight decay": Look("#9E43E6", "h", (0, (1.2, 1.2)), "weight decay"),
    "Jacobian": Look("#8D2571", (4, 1, 0), (0, (9, 2)), "Jacobian"),
    "adversarial": Look("#4A1382", (6, 1, 0), (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)), "adversarial"),
    "pixels": Look("#135237", (3, 1, 0), (0, (2.5, 1.2)), "pixels"),
}

#: What everything else takes, in this order: rulers, layers, classes, parts of a sketch.
NEUTRAL = (
    Look("#389FB2", ">", "-", "neutral 0"),
    Look("#822C53", "<", (0, (4, 1.5)), "neutral 1"),
    Look("#5D3EBD", "d", (0, (1.2, 1.2)), "neutral 2"),
    Look("#806C52", "*", (0, (6, 1.5, 1.5, 1.5)), "neutral 3"),
    Look("#C36DE3", "8", (0, (9, 2)), "neutral 4"),
    Look("#522C76", (8, 1, 0), (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)), "neutral 5"),
)

# matplotlib's names of line styles, as seaborn's dashes.
DASHES = {"-": "", "--": (3.7, 1.6), "-.": (6.4, 1.6, 1, 1.6)}


def look(kind: str) -> Look:
    """The colour, marker, line style and label of a reference network or a method.

    Args:
        kind: A key of `LOOKS` or of `METHODS`.

    Returns:
        Its look.

    Raises:
        ValueError: For a name that has no look of its own.

    >>> look("untrained").marker
    's'
    """
    if kind not in LOOKS | METHODS:
        raise ValueError(
            f"{kind!r} is no network and no method with a look of its own: "
            f"{', '.join(LOOKS | METHODS)} have one; name one of them, or draw with a look of "
            "plots.NEUTRAL"
        )
    return (LOOKS | METHODS)[kind]


def looks(names: Iterable[Hashable] | Mapping[Hashable, str]) -> dict[str, dict]:
    """Colours, markers and dashes for a list of names, to hand to seaborn as `**looks(names)`.

    Networks and methods get the looks that are theirs, by name or by label; the other names get
    the neutral ones, in their order. No two names share a look.

    Args:
        names: The names, as they stand in the column that seaborn takes for `hue=` and `style=`;
            one that comes again counts once. Where a name shown is not that of its look, a
            mapping from the one to the other: `{"β = 100": "isometric"}`.

    Returns:
        `palette`, `markers` and `dashes`, each a dictionary by name, in the order of the names.
        What takes no dashes (`scatterplot`) or no markers is handed the parts that it takes.

    Raises:
        ValueError: For two names with one look, or for more other names than `NEUTRAL` has looks.

    >>> looks(["trained", "one ruler", "another"])["markers"]
    {'trained': 'o', 'one ruler': '>', 'another': '<'}
    """
    asked = names if isinstance(names, Mapping) else {name: name for name in names}
    own = {one.label: one for one in LOOKS.values()} | LOOKS | METHODS
    others = [name for name, kind in asked.items() if kind not in own]
    if len(others) > len(NEUTRAL):
        raise ValueError(
            f"{len(others)} names have no look of their own ({', '.join(map(str, others))}), but "
            f"there are {len(NEUTRAL)} neutral looks: draw fewer series in one picture"
        )
    found = dict(zip(others, NEUTRAL, strict=False))
    found = {name: found[name] if name in found else own[asked[name]] for name in asked}
    if len(set(found.values())) < len(found):
        raise ValueError(
            f"two of the names {', '.join(map(str, asked))} ask for one look, but each needs one "
            "of its own: leave one of the two to the neutral looks"
        )
    return {
        "palette": {name: one.color for name, one in found.items()},
        "markers": {name: one.marker for name, one in found.items()},
        "dashes": {name: _dashes(one) for name, one in found.items()},
    }


def _dashes(one: Look) -> str | tuple[float | int, ...]:
    return DASHES[one.linestyle] if isinstance(one.linestyle, str) else one.linestyle[1]
