"""Carry the repository's address from pyproject.toml to every other file that needs it.

    python tools/address.py            rewrite the others
    python tools/address.py --check    only name them; ends with 1 if there is any

A fork changes `Repository` in pyproject.toml and runs this once. CITATION.cff tells which address
the other files were last written for.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from chapters import ROOT

__all__ = ["files", "online", "others", "rewrite", "slug", "stale"]

NAME = r"[\w.-]+/[\w-]+(?:\.(?!git\b)[\w-]+)*"
FORM = re.compile(rf"https://github\.com/({NAME})")
SUFFIXES = {".cff", ".ipynb", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
# These name the repository of the book whatever stands in them; a plain link may lead elsewhere.
ALWAYS = (
    r"git\+https://github\.com/",
    r"git clone https://github\.com/",
    r"(?:repository-code|url): *https://github\.com/",
    r"research\.google\.com/github/",
    r"mybinder\.org/v2/gh/",
)


def slug(root: Path = ROOT) -> str:
    """OWNER/NAME of the repository, from the one place of its address."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    match = FORM.fullmatch(address)
    if not match:
        raise ValueError(
            f"Repository in pyproject.toml is {address!r}: the links to Colab and Binder need "
            f"https://github.com/OWNER/NAME, write it in this form."
        )
    return match[1]


def online(root: Path = ROOT) -> str:
    """Where the pages can be read: the repository's GitHub Pages, which publish.yml fills."""
    owner, name = slug(root).lower().split("/")
    site = f"https://{owner}.github.io"
    return site if name == f"{owner}.github.io" else f"{site}/{slug(root).partition('/')[2]}"


def others(root: Path = ROOT) -> dict[str, str]:
    """The addresses in pyproject.toml that follow from the repository's."""
    home = f"https://github.com/{slug(root)}"
    return {
        "Documentation": online(root),
        "Changelog": f"{home}/blob/main/CHANGELOG.md",
        "Issues": f"{home}/issues",
    }


def _project(root: Path) -> tuple[Path, str, str]:
    """pyproject.toml, as it is and with the addresses that follow from the repository's."""
    path = root / "pyproject.toml"
    before = after = path.read_text(encoding="utf-8")
    for name, address in others(root).items():
        after = re.sub(rf'^{name} = ".*"$', f'{name} = "{address}"', after, flags=re.MULTILINE)
    return path, before, after


def files(root: Path = ROOT) -> list[Path]:
    """The text files of the repository that may hold its address (all but pyproject.toml).

    Those that git tracks or would track; without git, all outside the ignored folders.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        out = {".git", ".venv", "_build", "__pycache__", ".ruff_cache"}
        paths = [p for p in root.rglob("*") if not out & set(p.relative_to(root).parts)]
    named = {root / "Makefile", root / ".ci" / "run", root / "LICENSE-text", root / "postBuild"}
    left_out = {root / "pyproject.toml", root / "constraints.txt"}
    return sorted(
        path
        for path in set(paths) - left_out
        if path.is_file() and (path.suffix in SUFFIXES or path in named)
    )


def stale(root: Path = ROOT) -> list[str]:
    """`file:line: OWNER/NAME` for each place that holds another address than pyproject.toml."""
    ours, pattern = slug(root), _pattern(root)
    _, before, after = _project(root)
    pairs = enumerate(zip(before.splitlines(), after.splitlines(), strict=True), 1)
    return [f"pyproject.toml:{number}: {old}" for number, (old, new) in pairs if old != new] + [
        f"{path.relative_to(root).as_posix()}:{number}: {match[2]}"
        for path in files(root)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in pattern.finditer(line)
        if match[2] != ours
    ]


def rewrite(root: Path = ROOT) -> list[Path]:
    """Write the address of pyproject.toml into all other files; returns those that changed."""
    ours, pattern, changed = slug(root), _pattern(root), []
    for path in files(root):
        before = path.read_text(encoding="utf-8")
        after = pattern.sub(lambda match: match[1] + ours, before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    path, before, after = _project(root)
    if after != before:
        path.write_text(after, encoding="utf-8")
        changed.append(path)
    return changed


def _pattern(root: Path) -> re.Pattern:
    """Group 1 is what stands before the address, group 2 is OWNER/NAME."""
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    last = re.search(rf"^repository-code: *{FORM.pattern}", citation, re.MULTILINE)
    known = "|".join(re.escape(name) for name in {slug(root), *(last.groups() if last else ())})
    plain = rf"(?:github\.com/|/gh/|/github/)(?=(?:{known})(?![\w-]))"
    return re.compile(rf"({'|'.join(ALWAYS)}|{plain})({NAME})")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="name the places, change nothing")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            places = stale()
            print(*places, sep="\n", end="\n" if places else "")
            return 1 if places else 0
        for path in rewrite():
            print(f"{path.relative_to(ROOT).as_posix()}: rewritten")
    except ValueError as error:
        print(error)
        return 1
    print(f"Every file names https://github.com/{slug()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
