"""What every overlay of a `Plane` can do."""

__all__ = ["Overlay"]

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from companion.book.widgets.field import Field, Here, Setting


class Overlay(ABC):
    """Something drawn over a field, which follows the point that the reader drags.

    `script` is the name of its file in static/overlays/ and of the function in it; `name` is what
    stands beside its number in the figure. What `numbers` returns under `foot_x` stands in the
    page's attribute `data-foot-x` within 1e-3 of the range shown, and so do the settings.
    """

    script: ClassVar[str]
    name: ClassVar[str]

    def settings(self, field: Field) -> dict[str, Setting]:
        """What the reader sets by slider, by name; by default nothing.

        Args:
            field: Over which it is drawn.

        Returns:
            A `Setting` by name; no two overlays use the same.
        """
        return {}

    def data(self, field: Field) -> dict[str, object]:
        """What its script gets beside `script`, `name` and `settings`; by default nothing.

        Args:
            field: Over which it is drawn.

        Returns:
            Entries that are ready for JSON.
        """
        return {}

    @abstractmethod
    def numbers(self, field: Field, here: Here, settings: Mapping[str, float]) -> dict[str, float]:
        """What it shows with the point there; infinite or NaN where there is nothing to show.

        Args:
            field: Over which it is drawn.
            here: The point and what the network says there.
            settings: The value of each setting of the figure.

        Returns:
            Numbers by name, in snake case; no two overlays use the same.
        """

    @abstractmethod
    def text(self, numbers: Mapping[str, float], unit: str) -> str:
        """The number that stands beside its name, three digits with their unit.

        Args:
            numbers: What `numbers` returned.
            unit: That of lengths in the plane.

        Returns:
            What its script shows, too.
        """

    @abstractmethod
    def draw(self, axes: object, field: Field, here: Here, numbers: Mapping[str, float]) -> None:
        """The same for viewers without scripts.

        Args:
            axes: Of matplotlib.
            field: Over which it is drawn.
            here: The point.
            numbers: What `numbers` returned, and the settings.
        """
