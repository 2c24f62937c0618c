"""The folder of the package, files that are whole or not there, and names by content."""

import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import storage
from companion.storage import cache, checkout, checksum, file_checksum, written

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv("COMPANION_CACHE", raising=False)
    monkeypatch.setattr(storage, "_refused", set())


def private_mount(script: str, folder: Path, options: str) -> str:
    """Run a script that sees an own tmpfs at `folder`; skip where that is not allowed."""
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o {options} tmpfs '{folder}'"
    trial = [unshare or "false", "-m", "sh", "-c", mount]
    if subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("private mounts (unshare -m) are not allowed here")
    run = [unshare, "-m", "sh", "-c", f'{mount} && exec "$0" -c "$1" "$2"', sys.executable]
    done = subprocess.run(
        [*run, script, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# The folder --------------------------------------------------------------------------------------


def test_the_checkout_is_the_root_of_the_repository():
    assert checkout() == ROOT
    assert (checkout() / "tests" / "test_storage.py").is_file()


def test_an_installed_package_has_no_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "__file__", str(tmp_path / "companion" / "storage.py"))
    assert checkout() is None
    (tmp_path / "pyproject.toml").write_text('name = "something-else"')
    assert checkout() is None


def test_the_environment_names_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "a" / "b"))
    assert cache() == tmp_path / "a" / "b"
    assert cache().is_dir() and list(cache().iterdir()) == []


def test_the_home_folder_may_be_abbreviated(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COMPANION_CACHE", "~/kept")
    assert cache() == tmp_path / "kept"


def test_a_checkout_keeps_its_files_in_data_whatever_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "checkout", lambda: tmp_path / "repository")
    monkeypatch.chdir(tmp_path)
    assert cache() == tmp_path / "repository" / "data"


def test_without_a_checkout_the_operating_system_decides(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "checkout", lambda: None)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    assert cache() == tmp_path / "network-geometry"


def test_a_folder_that_cannot_be_written_is_named_once(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match=r"file/cache .* cannot be written .*point COMP"):
        assert cache() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache() is None


READ_ONLY = """
import json, os, subprocess, sys, warnings
from pathlib import Path
folder = Path(sys.argv[1])
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
os.environ["COMPANION_CACHE"] = str(folder)
from companion import storage
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    said = [storage.cache(), storage.cache()]
try:
    with storage.written(folder / "x.txt"):
        raise AssertionError("the block must not start")
except OSError as error:
    print(json.dumps([said, [str(w.message) for w in caught], str(error)]))
"""


def test_a_read_only_folder(tmp_path):
    said, warned, error = json.loads(private_mount(READ_ONLY, tmp_path, "size=1m"))
    assert said == [None, None]
    assert len(warned) == 1 and "Read-only file system" in warned[0]
    assert "x.txt was not written (Read-only file system)" in error


# Writing -----------------------------------------------------------------------------------------


def test_a_written_file_is_whole_and_alone(tmp_path):
    with written(tmp_path / "new" / "x.txt") as part:
        assert part.parent == tmp_path / "new" and part.name != "x.txt"
        part.write_text("whole")
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["x.txt"]
    assert (tmp_path / "new" / "x.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), OSError(5, "odd")])
def test_an_exception_leaves_everything_as_it_was(tmp_path, error):
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(type(error)) as caught, written(tmp_path / "x.txt") as part:
        part.write_text("half of the ne")
        raise error
    assert caught.value is error
    assert [f.name for f in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def test_the_suffix_is_kept_for_writers_that_would_append_theirs(tmp_path):
    with written(tmp_path / "x.npz") as part:
        np.savez(part, a=np.arange(3))
    with np.load(tmp_path / "x.npz") as stored:
        assert stored["a"].tolist() == [0, 1, 2]


def test_a_written_file_has_the_usual_mode(tmp_path):
    (tmp_path / "usual").write_text("")
    with written(tmp_path / "x") as part:
        part.write_text("")
    mode = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "x")]
    assert mode[0] == mode[1]


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    with written(tmp_path / "x") as part:
        part.write_text("whole")
    assert calls[:2] == ["sync", "rename"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"x was not written .*free some space or point"):
        with written(tmp_path / "file" / "x"):
            pass


FULL = """
import json, sys
from pathlib import Path
import numpy as np, torch
from companion import storage
folder, said = Path(sys.argv[1]), {}
x = torch.zeros(1_000_000)
writers = {
    "bytes": lambda part: part.write_bytes(bytes(4_000_000)),
    "torch": lambda part: torch.save(x, part),
    "numpy": lambda part: np.save(part, x.numpy()),
}
(folder / "x.npy").write_text("old")
for name, write in writers.items():
    try:
        with storage.written(folder / "x.npy") as part:
            write(part)
    except OSError as error:
        said[name] = str(error)
print(json.dumps([said, [f.name for f in folder.iterdir()], (folder / "x.npy").read_text()]))
"""


def test_a_full_disk_is_one_sentence_whoever_writes(tmp_path):
    said, left, content = json.loads(private_mount(FULL, tmp_path, "size=256k"))
    assert list(said) == ["bytes", "torch", "numpy"]
    for sentence in said.values():
        assert "x.npy was not written (No space left on device)" in sentence
    assert left == ["x.npy"] and content == "old"


WRITER = """
import sys
from companion.storage import written
for _ in range(30):
    with written(sys.argv[1]) as part:
        part.write_text(sys.argv[2] * 200_000)
"""


def test_two_processes_write_the_same_file_at_once(tmp_path):
    path = tmp_path / "x.txt"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter], env=env)
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        text = path.read_text() if path.exists() else ""
        seen.add((len(text), text[:1], len(set(text)) <= 1))
        time.sleep(0.001)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {(0, "", True), (200_000, "a", True), (200_000, "b", True)}
    assert [f.name for f in tmp_path.iterdir()] == ["x.txt"]


# Names by content --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    lr: float
    epochs: int


@dataclass
class Changeable:
    lr: float


def test_a_checksum_is_sha256_over_kind_and_content_with_their_lengths():
    def framed(*pieces: bytes) -> bytes:
        body = b"".join(struct.pack("<Q", len(piece)) + piece for piece in pieces)
        return hashlib.sha256(body).digest()

    x = torch.tensor([1.0, 2.0])
    tensor = framed(b"tensor", b"torch.float32", b"(2,)", x.numpy().tobytes())
    assert checksum("ab", x) == framed(b"sequence", framed(b"str", b"ab"), tensor).hex()


def test_a_checksum_is_the_same_in_every_version():
    # Another value means that every cached network is trained anew: change it on purpose only.
    parts = ("digits", 0, 1.5, True, None, b"x", {"a": (1, 2)}, torch.arange(3))
    assert checksum(*parts).startswith("7fb31a00aae3cf51")


DIFFERENT = [
    ("ab", "c"),
    ("a", "bc"),
    ("abc",),
    (b"abc",),
    (),
    ((),),
    (None,),
    ("None",),
    (0,),
    (0.0,),
    (-0.0,),
    (False,),
    (1,),
    (1.0,),
    (True,),
    ("1",),
    (float("nan"),),
    ([1, 2],),
    (1, 2),
    ({1: 2},),
    ({2: 1},),
    ({},),
    (Recipe(0.1, 2),),
    (Recipe(0.1, 3),),
    ({"lr": 0.1, "epochs": 2},),
    (torch.zeros(2),),
    (torch.zeros(2, 1),),
    (torch.zeros(1, 2),),
    (torch.zeros(2, dtype=torch.float64),),
    (torch.zeros(2, dtype=torch.int32),),
    (torch.zeros(0),),
    (torch.tensor(0.0),),
    (torch.tensor([0.0, 1e-45]),),
]


def test_different_content_has_different_names():
    names = [checksum(*parts) for parts in DIFFERENT]
    assert len(set(names)) == len(DIFFERENT)
    assert all(len(name) == 64 for name in names)


def test_how_a_tensor_is_stored_does_not_count():
    x = torch.arange(6.0).reshape(2, 3)
    strided = torch.arange(12.0).reshape(2, 6).repeat(1, 1)[:, ::2] / 1
    assert checksum(x) == checksum(x.T.contiguous().T) == checksum(x.clone().requires_grad_())
    assert checksum(strided) == checksum(strided.contiguous())
    assert checksum(x.bfloat16()) != checksum(x.half())


def test_the_order_of_a_dict_and_the_kind_of_sequence_do_not_count():
    assert checksum({"a": 1, "b": 2}) == checksum({"b": 2, "a": 1})
    assert checksum((1, [2])) == checksum([1, (2,)])


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner), max_leaves=8
)


def typed(tree: object) -> object:
    """The tree with the type beside each leaf, since Python takes 1 and True for equal."""
    if isinstance(tree, (list, tuple)):
        return ("sequence", *map(typed, tree))
    return type(tree).__name__, tree


@given(a=trees, b=trees)
def test_names_are_equal_exactly_where_the_content_is(a, b):
    assert (checksum(a) == checksum(b)) == (typed(a) == typed(b))


@pytest.mark.parametrize("part", [{1, 2}, object(), Changeable(0.1), np.arange(2), Recipe])
def test_the_sentence_for_what_has_no_checksum(part):
    with pytest.raises(TypeError, match=r"has no checksum: tensors, .* convert it to one"):
        checksum("fine", [part])


# Checksums of files ------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path, algorithm):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    expected = hashlib.new(algorithm, content).hexdigest()
    assert file_checksum(tmp_path / "x", algorithm) == expected
    assert file_checksum(str(tmp_path / "x"), algorithm) == expected


def test_the_sentences_of_file_checksum(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone: .* check the path"):
        file_checksum(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"algorithm 'crc' is not known: .*take 'md5'"):
        file_checksum(tmp_path / "gone", "crc")
