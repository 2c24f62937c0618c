"""What all tests share: one thread, no bars, no settings of the caller, checked shapes."""

import os

import hypothesis
import jaxtyping
import pytest
import torch

# Before any test imports the package: what the caller's shell says must not change a result.
os.environ["COMPANION_PROGRESS"] = "0"
for name in ("COMPANION_DATASET", "COMPANION_STRICT", "NETWORK_GEOMETRY_FULL"):
    os.environ.pop(name, None)

torch.set_num_threads(1)

# The same examples on every machine; a deadline would test the machine's load.
hypothesis.settings.register_profile(
    "book",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("book")


def pytest_addoption(parser):
    parser.addoption(
        "--lab",
        action="append",
        default=[],
        metavar="NAME",
        help="run this chapter in JupyterLab, in a browser (distances/rulers; all: each of them)",
    )


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device here: the tests on device meta stand in for it")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def as_a_user():
    """Shape checks off, as in a user's session: the sentence of the function itself is tested."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def private_cache(tmp_path, monkeypatch):
    """An empty folder for downloads and networks that only this test sees."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("COMPANION_CACHE", str(folder))
    return folder
