"""Compare constraints-colab.txt with the versions that Colab publishes, and say what moved.

    python tools/colab.py

Ends with 0 if nothing did, with 1 if something did, or if the list cannot be read. In a workflow
what it says also goes into the summary of the run and into the output `moved`.
"""

import os
import re
import sys
import urllib.request
from pathlib import Path
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from chapters import ROOT

__all__ = ["main", "moved", "published"]

# What Colab's own repository says its runtimes hold.
LIST = "https://raw.githubusercontent.com/googlecolab/backend-info/main/pip-freeze.txt"
WHEEL = re.compile(r"([\w.-]+?) @ \S*/[^/-]+-([^/-]+)-(?:\d\w*-)?[^/-]+-[^/-]+-[^/-]+\.whl")
PINNED = re.compile(r"([\w.-]+)==(\S+)")
PYTHON = re.compile(r"-cp3(\d+)-\S*\.whl")


def published(text: str) -> dict[str, str]:
    """The version of each package in a `pip freeze`, without the labels of builds.

    Wheels that were installed from an address tell the version in their name, and the Python that
    they are for, which is entered as "python".
    """
    versions = {}
    for line in map(unquote, text.splitlines()):
        if match := PINNED.match(line) or WHEEL.match(line):
            versions[canonicalize_name(match[1])] = match[2].partition("+")[0]
        if python := PYTHON.search(line):
            versions["python"] = f"3.{python[1]}"
    return versions


def moved(ours: str, theirs: dict[str, str]) -> list[str]:
    """One line for each version of constraints-colab.txt that Colab does not ship."""
    here = published(ours)
    if python := re.search(r"beside Python (3\.\d+)", ours):
        here["python"] = python[1]
    found = []
    for name, version in sorted(here.items()):
        there = theirs.get(name)
        if name == "python" and there is None:  # no wheel tells it
            continue
        if there != version:
            found.append(f"{name}: {version} here, {there or 'not shipped'} in Colab")
    return found


def _say(lines: list[str]) -> None:
    text = "\n".join(lines)
    print(text, flush=True)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as file:
            file.write("".join(f"- {line}\n" for line in lines))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a", encoding="utf-8") as file:
            file.write(f"moved<<END-OF-LIST\n{text}\nEND-OF-LIST\n")


def main(address: str = LIST, root: Path = ROOT) -> int:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            theirs = published(answer.read().decode("utf-8"))
    except (OSError, ValueError) as error:
        _say([f"Colab's list of packages cannot be read ({error}): nothing was compared."])
        return 1
    lines = moved((root / "constraints-colab.txt").read_text(encoding="utf-8"), theirs)
    _say(lines or ["Colab ships the versions of constraints-colab.txt."])
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
