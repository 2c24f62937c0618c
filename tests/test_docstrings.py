"""Docstrings: Google style, every parameter named, nothing that napoleon would read as a type."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import typing

import pytest

import companion

SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$", re.MULTILINE)


def rooms():
    """Every module of the package that says what is public in it."""
    for module in pkgutil.walk_packages(companion.__path__, "companion."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def public():
    """(name, object) of every public function, class and public method, each once."""
    for room in rooms():
        for word in getattr(room, "__all__", ()):
            thing = getattr(room, word)
            if getattr(thing, "__module__", None) != room.__name__:
                continue  # where it is written, not where it is imported
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield f"{room.__name__}.{word}", thing
            if inspect.isclass(thing):
                for name, member in vars(thing).items():
                    member = getattr(member, "__func__", member)
                    if name.startswith("_") or not inspect.isfunction(member):
                        continue
                    if member.__doc__ or not documented_below(thing, name):
                        yield f"{room.__name__}.{word}.{name}", member


def documented_below(thing, name):
    """Whether the method that this one replaces says what both take."""
    replaced = [vars(base).get(name) for base in thing.__mro__[1:]]
    return any(method.__doc__ for method in replaced if hasattr(method, "__doc__"))


def sections(text):
    """The sections of a docstring by their heads, each as far as it is indented."""
    found = {}
    for head in SECTION.finditer(text):
        body = text[head.end() :].lstrip("\n").split("\n")
        lines = []
        for line in body:
            if line.strip() and not line.startswith(" "):
                break
            lines.append(line)
        found[head.group(1)] = "\n".join(lines).rstrip()
    return found


def parameters(thing):
    """The names a caller may pass."""
    if inspect.isclass(thing):
        if typing.is_typeddict(thing) or hasattr(thing, "_fields"):
            return list(thing.__annotations__)
        if "__init__" not in vars(thing):
            return []
        thing = vars(thing)["__init__"]
    thing = inspect.unwrap(thing)
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]


def named(thing):
    text = inspect.cleandoc(thing.__doc__ or "")
    found = sections(text)
    body = found.get("Args", "")
    if dataclasses.is_dataclass(thing):
        body += "\n" + found.get("Attributes", "")
    return set(re.findall(r"^    \*{0,2}(\w+): \S", body, re.MULTILINE))


def test_95_of_100_parameters_are_named():
    counted, missing = 0, []
    for name, thing in public():
        wanted = parameters(thing)
        counted += len(wanted)
        missing += [f"{name}({word})" for word in wanted if word not in named(thing)]
    assert counted > 200
    assert len(missing) <= 0.05 * counted, f"{len(missing)} of {counted}: {', '.join(missing)}"


@pytest.mark.parametrize("name, thing", [pytest.param(*item, id=item[0]) for item in public()])
def test_a_docstring_names_nothing_else_and_no_type(name, thing):
    found = sections(inspect.cleandoc(thing.__doc__ or ""))
    unknown = named(thing) - set(parameters(thing))
    assert not unknown, f"{name} has no parameter {', '.join(unknown)}: it was renamed or went"
    for head in ("Returns", "Yields"):
        first = found.get(head, "").split("\n")[0]
        first = re.sub(r"`[^`]*`", "", first)
        assert not re.search("(?<!:):(?!:)", first), (
            f"{name}: napoleon reads what stands before the colon as a type"
        )


def test_the_count_sees_a_parameter_that_is_not_named():
    def ruler(x, *, scale=1):
        """A ruler.

        Args:
            x: Samples (n, ...): scale: is no entry,
                scale: neither is this.

        Returns:
            scale: A number.
        """

    assert named(ruler) == {"x"} and parameters(ruler) == ["x", "scale"]
