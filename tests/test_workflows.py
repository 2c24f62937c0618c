"""The workflow files: valid, with least rights, pinned, and calling only what make calls.

The rules are functions from a workflow to sentences, one for each breach.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chapters import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
# Read from the tags of the actions' own repositories; a new version gets its commit from there.
PINNED = {
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "actions/upload-pages-artifact": "fc324d3547104276b827a68afc52ff2a11cc49c9 # v5.0.0",
    "actions/deploy-pages": "cd2ce8fcbc39b97be8ca5fce6e763baed58fa128 # v5.0.0",
}
TARGETS = set(
    re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
)


def load(path: Path) -> dict:
    # YAML 1.1 takes the key `on` for a truth value.
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in workflow.items()}


def read_only(workflow: dict) -> list[str]:
    """No right for all jobs, and no secret but the token that a job asks rights for."""
    found = []
    if workflow.get("permissions") != {}:
        found.append(f"permissions of all jobs are {workflow.get('permissions')}, not none")
    for name, job in workflow["jobs"].items():
        writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        if writes and any("run" in step and "make" in step["run"] for step in job["steps"]):
            found.append(f"{name} runs the book's code with the right to write {sorted(writes)}")
        if writes and {"pull_request", "pull_request_target"} & set(workflow["on"]):
            found.append(f"{name} lets a pull request write {sorted(writes)}")
    return found


def bounded(workflow: dict) -> list[str]:
    """Every job ends by itself, and runs of the same kind do not pile up."""
    found = [] if "concurrency" in workflow else ["has no concurrency"]
    endless = [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job]
    return found + [f"{name} has no time limit" for name in endless]


def only_make(workflow: dict) -> list[str]:
    """A job that has the repository runs one target of the Makefile a step, and nothing else."""
    found = []
    for name, job in workflow["jobs"].items():
        if not any(step.get("uses", "").startswith("actions/checkout") for step in job["steps"]):
            continue
        for command in (step["run"].strip() for step in job["steps"] if "run" in step):
            match = re.fullmatch(r"make ([a-z-]+)((?: [A-Z_]+=[\w.]+)*)", command)
            if match is None or match[1] not in TARGETS:
                found.append(f"{name} runs what make does not: {command}")
    return found


def pins(text: str) -> list[str]:
    """Every action is one that was looked up, at the commit of its tag."""
    used = re.findall(r"uses: *([^@\s]+)@(.*)", text)
    return [f"{name}@{at}" for name, at in used if PINNED.get(name) != at.strip()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
@pytest.mark.parametrize("rule", [read_only, bounded, only_make], ids=lambda rule: rule.__name__)
def test_workflow(rule, path):
    assert rule(load(path)) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path):
    assert pins(path.read_text(encoding="utf-8")) == []


def checked(*command: str, folder: Path) -> subprocess.CompletedProcess:
    """A tool of this environment, without what would send it to the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GH_")}
    return subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=folder,
        env={name: value for name, value in kept.items() if name != "GITHUB_TOKEN"},
        capture_output=True,
        text=True,
    )


def schema(*paths: Path) -> subprocess.CompletedProcess:
    command = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    return checked(*command, *map(str, paths), folder=paths[0].parent)


def audit(*paths: Path) -> subprocess.CompletedProcess:
    command = ("zizmor", "--offline", "--no-progress", "--strict-collection")
    return checked(*command, *map(str, paths), folder=paths[0].parent)


@pytest.mark.parametrize("tool", [schema, audit], ids=lambda tool: tool.__name__)
def test_workflows_are_valid_and_safe(tool):
    result = tool(*WORKFLOWS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_there_are_the_four():
    assert [path.stem for path in WORKFLOWS] == ["binder", "check", "colab", "publish"]
    assert re.search(r"run: make binder$", (FOLDER / "binder.yml").read_text(), re.MULTILINE)
    weekly = load(FOLDER / "colab.yml")["jobs"]
    steps = [step.get("run", "") for job in weekly.values() for step in job["steps"]]
    assert "make versions" in steps and "make colab TORCH_INDEX=cpu" in steps
    assert set(weekly["tell"]["needs"]) == {"chapters", "versions"}
    assert weekly["versions"]["outputs"] == {"moved": "${{ steps.compare.outputs.moved }}"}
    assert {"push", "pull_request"} <= load(FOLDER / "check.yml")["on"].keys()
    assert "pull_request" not in load(FOLDER / "publish.yml")["on"]
    assert re.search(r"run: make book DATASET=mnist", (FOLDER / "publish.yml").read_text())
    assert "schedule" in load(FOLDER / "colab.yml")["on"]
    assert load(FOLDER / "colab.yml")["jobs"]["tell"]["permissions"] == {"issues": "write"}


# ---- the rules on broken workflows -----------------------------------------------------------

CHECK = (FOLDER / "check.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "before", "after", "said"),
    [
        (read_only, "permissions: {}", "permissions: write-all", "of all jobs are write-all"),
        (read_only, "contents: read", "contents: write", "runs the book's code with the right"),
        (read_only, "contents: read", "contents: write", "lets a pull request write"),
        (bounded, "    timeout-minutes: 60\n", "", "check has no time limit"),
        (bounded, "concurrency:", "env:", "has no concurrency"),
        (only_make, "run: make book", "run: python tools/execute.py", "runs what make does not"),
        (only_make, "run: make book", "run: make everything", "runs what make does not"),
    ],
)
def test_a_broken_workflow_is_seen(rule, before, after, said, tmp_path):
    path = tmp_path / "check.yml"
    path.write_text(CHECK.replace(before, after, 1))
    assert any(said in sentence for sentence in rule(load(path)))


def test_another_commit_is_seen():
    assert pins(CHECK.replace("3d3c42e5", "00000000")) == [
        "actions/checkout@00000000aac5ba805825da76410c181273ba90b1 # v7.0.1"
    ]


@pytest.mark.parametrize(
    ("tool", "before", "after", "said"),
    [
        (schema, "runs-on:", "run-on:", "run-on"),
        (audit, "with:\n          persist-credentials: false", "if: true", "artipacked"),
        (audit, "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        (audit, "pull_request:", "pull_request_target:", "dangerous-triggers"),
        (
            audit,
            "run: make book",
            "run: echo ${{ github.event.pull_request.title }}",
            "template-injection",
        ),
    ],
)
def test_the_tools_see_a_broken_workflow(tool, before, after, said, tmp_path):
    path = tmp_path / ".github" / "workflows" / "check.yml"
    path.parent.mkdir(parents=True)
    path.write_text(CHECK.replace(before, after, 1))
    result = tool(path)
    assert result.returncode != 0
    assert said in result.stdout + result.stderr
