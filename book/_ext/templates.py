"""Pages that are more markup than code: Jinja templates beside this file, as sets of macros."""

from pathlib import Path

import jinja2

__all__ = ["macros"]

# A name that a template misspells is an error, and every text is escaped unless it is Markup.
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def macros(name: str, **words: object) -> object:
    """The macros of a template, each callable from here; `words` is what they may call."""
    return ENVIRONMENT.get_template(name, globals=words).make_module()
