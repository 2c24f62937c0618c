"""What leaves the repository: source distribution, README, containers, bibliography."""

import json
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
from pybtex.database import parse_file

import address
from chapters import ROOT
from test_house import PROJECT, make

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git here")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# ---- the source distribution -----------------------------------------------------------------


def test_the_source_distribution_is_the_repository(tmp_path):
    """Every tracked file and no other, so that book and tests are made from it as from a clone."""
    names = tracked()
    for name in names:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    code = "from setuptools.build_meta import build_sdist; print(build_sdist('../out'))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "tree", capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    (archive,) = (tmp_path / "out").glob("*.tar.gz")
    with tarfile.open(archive) as file:
        members = [one.name.partition("/")[2] for one in file.getmembers() if one.isfile()]
    made = re.compile(r"PKG-INFO|setup\.cfg|network_geometry\.egg-info/.*")
    assert sorted(one for one in members if not made.fullmatch(one)) == sorted(names)


# ---- the project's own page ------------------------------------------------------------------


def test_the_project_names_its_places():
    urls = dict(PROJECT["urls"])
    assert urls.pop("Repository") == f"https://github.com/{address.slug()}"
    assert urls == address.others()


def test_make_address_carries_a_fork_to_them(tmp_path):
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ours = f'Repository = "https://github.com/{address.slug()}"'
    fork = tmp_path / "pyproject.toml"
    fork.write_text(text.replace(ours, 'Repository = "https://github.com/me/fork"'))
    assert len([line for line in address.stale(tmp_path) if "pyproject.toml:" in line]) == 3
    assert fork in address.rewrite(tmp_path)
    assert address.slug() not in fork.read_text() and "me.github.io/fork" in fork.read_text()
    assert not [line for line in address.stale(tmp_path) if "pyproject.toml:" in line]


def test_classifiers_name_the_versions_of_python_that_the_package_takes():
    minors = [text.rpartition(" :: 3.")[2] for text in PROJECT["classifiers"] if ":: 3." in text]
    assert minors == ["11", "12", "13"]
    assert "3.11.5 to 3.13" in TEXT and PROJECT["requires-python"] == ">=3.11.5"


def test_the_readme_can_be_read_where_the_repository_is_not():
    links = re.findall(r"\]\(([^)\s]+)\)", TEXT)
    assert len(links) > 4
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    home = f"https://github.com/{address.slug()}/"
    ours = [link.removeprefix(home) for link in links if link.startswith(home)]
    for place in ours:
        path = re.sub(r"^(?:blob|raw)/main/", "", place)
        assert path != place and (ROOT / path).exists(), place


# ---- containers ------------------------------------------------------------------------------

FOLDER = ROOT / ".devcontainer"
CONTAINER = (FOLDER / "Containerfile").read_text(encoding="utf-8")


def test_the_container_runs_the_two_commands():
    assert re.search(r'^CMD \["make", "book"\]$', CONTAINER, re.MULTILINE)
    assert "make test" in CONTAINER
    assert re.search(r"^RUN make checked\b", CONTAINER, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", CONTAINER, re.MULTILINE)
    version = re.match(r"python:(3\.\d+)-", bases[0])[1]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_what_the_containers_make_can_be_made():
    config = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
    for command in ("checked", config["postCreateCommand"].removeprefix("make ")):
        assert make(ROOT, "-n", command).returncode == 0
    build = config["build"]
    assert (FOLDER / build["dockerfile"]).is_file()
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert build["target"] in re.findall(r"^FROM \S+ AS (\S+)", CONTAINER, re.MULTILINE)


def test_binder_finds_environment_yml_and_nothing_that_it_would_take_instead():
    others = ("Dockerfile", "binder", ".binder", "requirements.txt", "Pipfile", "setup.py")
    assert not [name for name in others if (ROOT / name).exists()]


# ---- the bibliography ------------------------------------------------------------------------

# Proceedings, reports and pages that were never given one; what is on arXiv has its link there.
WITHOUT = {
    "ansuini2019intrinsic", "athalye2018obfuscated", "belilovsky2019greedy",
    "goodfellow2015explaining", "kornblith2019similarity", "krizhevsky2009learning",
    "lecun1998mnist", "levina2004maximum", "madry2018towards", "mantel1967detection",
    "ortiz2020hold", "song2012feature", "yosinski2014transferable", "zhang2017understanding",
}  # fmt: skip
ENTRIES = parse_file(str(ROOT / "book" / "references.bib")).entries


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_has_its_doi(key):
    fields = ENTRIES[key].fields
    doi = fields.get("doi", "")
    assert (key in WITHOUT) == (doi == "")
    assert re.fullmatch(r"(?:10\.\d{4,5}/\S+)?", doi)
    if "arXiv" in doi:
        assert doi == f"10.48550/arXiv.{fields['eprint']}"


def test_no_entry_is_excused_that_is_not_there():
    assert set(ENTRIES) >= WITHOUT
