"""Write the lock into environment.yml, which conda and Binder read.

    python tools/conda.py            write it
    python tools/conda.py --check    only say whether it is as it would be; ends with 1 if not

The file stands alone: without a path of the checkout in it, Binder installs its packages before
it copies the book, and keeps them until a version changes. It holds what reading needs, no test
extra; the package itself is installed by `postBuild`.
"""

import argparse
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chapters import ROOT

__all__ = ["closure", "main", "pins", "written"]

# torch brings the CUDA parts that fit it by itself, and its CPU builds have none.
OF_TORCH = re.compile(r"nvidia|cuda|triton")
# What builds the package, which nothing requires.
BUILDERS = ("setuptools", "wheel")


def closure(requirements: Iterable[Requirement], python: str | None = None) -> set[str]:
    """The canonical names of all that some requirements need, as this environment has it.

    Args:
        requirements: What is asked for.
        python: "3.12" for another Python than the one that runs.

    Returns:
        Names, the parts of torch apart. What is not installed here is taken to need nothing.
    """
    where = {"python_version": python, "python_full_version": f"{python}.0"} if python else {}
    found, seen, todo = set(), set(), [(r, ()) for r in requirements]
    while todo:
        requirement, extras = todo.pop()
        name = canonicalize_name(requirement.name)
        environments = [{"extra": extra, **where} for extra in ("", *extras)]
        if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
            continue
        wanted = tuple(sorted(requirement.extras))
        if (name, wanted) in seen or OF_TORCH.match(name):
            continue
        seen.add((name, wanted))
        found.add(name)
        try:
            needs = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            needs = ()
        todo += [(Requirement(text), wanted) for text in needs]
    return found


def pins(root: Path = ROOT, python: str | None = None) -> list[str]:
    """The lines of the lock that reading needs."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["book"], *BUILDERS]
    needed = closure(map(Requirement, asked), python)
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if canonicalize_name(line.partition("==")[0]) in needed]


def written(root: Path = ROOT) -> str:
    """environment.yml as it should be: its own head, then the pins."""
    text = (root / "environment.yml").read_text(encoding="utf-8")
    head = re.match(r"(?s).*--extra-index-url [^\n]*\n", text)[0]
    python = re.search(r"- python=([\d.]+)", head)[1]
    return head + "".join(f"      - {pin}\n" for pin in pins(root, python))


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="say whether it is, change nothing")
    options = parser.parse_args(arguments)
    path, text = root / "environment.yml", written(root)
    if path.read_text(encoding="utf-8") == text:
        print("environment.yml holds the versions of the lock.")
    elif options.check:
        print("environment.yml does not hold the versions of the lock: run make conda.")
        return 1
    else:
        path.write_text(text, encoding="utf-8")
        print("environment.yml: rewritten")
    return 0


if __name__ == "__main__":
    sys.exit(main())
