"""Exercises on the API page: values of a room, shown as the functions they are called as."""

from sphinx.ext.autodoc import DataDocumenter, ModuleDocumenter

from companion.book.exercises import Exercise

__all__ = ["ExerciseDocumenter"]


class ExerciseDocumenter(DataDocumenter):
    """What an exercise asks, under its name and its one argument, without its value."""

    objtype = "exercise"
    directivetype = "function"
    priority = DataDocumenter.priority + 1

    @classmethod
    def can_document_member(
        cls, member: object, membername: str, isattr: bool, parent: object
    ) -> bool:
        """Whether the member of a module is an exercise.

        Args:
            member: The value.
            membername: Its name in the module.
            isattr: Whether it has a comment of its own; it needs none.
            parent: What is being documented.

        Returns:
            True for an exercise in a module.
        """
        return isinstance(member, Exercise) and isinstance(parent, ModuleDocumenter)

    def format_args(self, **kwargs: object) -> str:
        """The arguments of the call.

        Args:
            kwargs: Of no use here.

        Returns:
            The reader's function.
        """
        return "(solution)"

    def add_directive_header(self, sig: str) -> None:
        """The name and the arguments alone, without the value of a variable.

        Args:
            sig: The arguments.
        """
        super(DataDocumenter, self).add_directive_header(sig)
