"""Images read from disk, verified, drawn and, if named, downloaded; and the Dataset they come in.

Most tests make tiny files of their own, in the published formats, and put their md5 in the table.
"""

import errno
import gzip
import hashlib
import io
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import urllib.error
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion import storage
from companion.datasets import Dataset, images, load, shuffle_labels
from companion.datasets.dataset import stratified

ROOT = Path(__file__).resolve().parents[1]
GIVEN = os.environ.get("COMPANION_DATA") or ROOT.parent / "shared" / "data"
MNIST_FILES = [Path(file).name for file in images._MD5["mnist"]]


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path) -> Path:
    """A cache folder of this test's own, nothing named in the environment, and no network."""
    for name in ("COMPANION_DATA", "COMPANION_DATASET", "COMPANION_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv("COMPANION_CACHE", str(folder))
    monkeypatch.setattr(storage, "_refused", set())
    monkeypatch.setattr(socket, "create_connection", refuse)
    return folder


def refuse(*args, **options):
    raise AssertionError("nothing may be downloaded here")


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def arrays(n: int, seed: int, shape: tuple[int, ...] = (4, 4)) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(n) % 10).astype(np.uint8)
    return draw.integers(0, 256, (n, *shape), dtype=np.uint8), y


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> dict:
    """A set of 40 + 20 images in the format of MNIST below `source`, known under its name."""
    (x, y), (u, v) = arrays(40, 0), arrays(20, 1)
    source, packed, unpacked = tmp_path / "source", {}, {}
    for file, array in zip(images._MD5["mnist"], (x, y, u, v), strict=True):
        content = gzip.compress(idx(array), mtime=0)
        write(source / file, content)
        packed[file], unpacked[file.removesuffix(".gz")] = md5(content), md5(idx(array))
    monkeypatch.setitem(images._MD5, "mnist", packed)
    monkeypatch.setattr(images, "_UNPACKED_MD5", unpacked)
    return {"source": source, "x": x, "y": y, "u": u, "v": v, "files": list(packed)}


@pytest.fixture
def server(tiny, monkeypatch) -> list[str]:
    """torchvision's download, answered from the folder `source`; the addresses asked for."""
    asked = []

    def answer(url, root, filename=None, md5=None):
        asked.append(url)
        print("a bar", file=sys.stderr)
        copy(tiny, root, filename)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", answer)
    return asked


def copy(tiny: dict, root: str, filename: str) -> Path:
    Path(root).mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(tiny["source"] / "MNIST" / "raw" / filename, root))


def holds(data: Dataset, tiny: dict) -> None:
    """The images of `tiny`, exactly."""
    assert torch.equal(data.x_train, torch.tensor(tiny["x"])[:, None].float() / 255)
    assert torch.equal(data.x_test, torch.tensor(tiny["u"])[:, None].float() / 255)
    assert data.y_train.tolist() == tiny["y"].tolist()
    assert data.y_test.tolist() == tiny["v"].tolist()


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# Reading -----------------------------------------------------------------------------------------


def test_the_compressed_files_are_read_as_they_are(tiny):
    before = files(tiny["source"])
    data = load("mnist", root=tiny["source"])
    holds(data, tiny)
    assert data.x_train.shape == (40, 1, 4, 4) and data.x_train.dtype == torch.float32
    assert data.y_train.dtype == torch.int64 and data.classes == tuple("0123456789")
    assert data.name == "mnist" and data.directions is None and data.hierarchy is None
    assert files(tiny["source"]) == before
    holds(load("mnist", root=str(tiny["source"])), tiny)


def unpack(folder: Path, keep: int = 0) -> None:
    for path in sorted(folder.rglob("*.gz"))[keep:]:
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("keep", [0, 2])
def test_unpacked_files_do_where_the_compressed_ones_are_missing(tiny, keep):
    unpack(tiny["source"], keep)
    holds(load("mnist", root=tiny["source"]), tiny)


def test_a_compressed_file_comes_before_the_unpacked_one(tiny):
    for path in sorted(tiny["source"].rglob("*.gz")):
        path.with_suffix("").write_bytes(b"never read")
    holds(load("mnist", root=tiny["source"]), tiny)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("damage", [lambda c: c[:-5], lambda c: c[:-1] + bytes([c[-1] ^ 1])])
def test_a_damaged_file_is_named_with_what_to_do(tiny, place, packed, damage):
    if not packed:
        unpack(tiny["source"])
    path = tiny["source"] / tiny["files"][place]
    path = path if packed else path.with_suffix("")
    path.write_bytes(damage(path.read_bytes()))
    sentence = rf"{path} is truncated or altered \(\d+ bytes, md5 \w+\): .*delete .*copy or"
    with pytest.raises(ValueError, match=sentence):
        load("mnist", root=tiny["source"])


def test_fashion_mnist_has_its_own_folder_and_classes(tiny, monkeypatch):
    moved = {f.replace("MNIST/", "FashionMNIST/"): m for f, m in images._MD5["mnist"].items()}
    monkeypatch.setitem(images._MD5, "fashion-mnist", moved)
    (tiny["source"] / "MNIST").rename(tiny["source"] / "FashionMNIST")
    data = load("fashion-mnist", root=tiny["source"])
    holds(data, tiny)
    assert data.classes[0] == "T-shirt/top" and data.classes[9] == "Ankle boot"
    with pytest.raises(FileNotFoundError):
        load("mnist", root=tiny["source"])


READ_ONLY = """
import subprocess, sys
from pathlib import Path
folder = Path(sys.argv[1])
subprocess.run(["cp", "-r", sys.argv[2] + "/.", str(folder)], check=True)
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
from companion.datasets import images, load
from companion.storage import file_checksum
images._MD5["mnist"] = {f: file_checksum(folder / f) for f in images._MD5["mnist"]}
print(load("mnist", root=folder).x_train.sum().item())
"""


def test_a_read_only_folder_will_do(tiny, tmp_path):
    unshare, folder = shutil.which("unshare"), tmp_path / "mounted"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs '{folder}'"
    trial = [unshare or "false", "-m", "sh", "-c", mount]
    if subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("private mounts (unshare -m) are not allowed here")
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
        + [sys.executable, "-c", READ_ONLY, str(folder), str(tiny["source"])],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(tiny["x"].sum() / 255, rel=1e-5)


# CIFAR-10 ----------------------------------------------------------------------------------------


@pytest.fixture
def cifar(monkeypatch, tmp_path) -> dict:
    """Five training batches of 10 and a test batch of 10 in the published format."""
    source, table, x, y = tmp_path / "source", {}, [], []
    for seed, file in enumerate(images._MD5["cifar10"]):
        pixels, labels = arrays(10, seed, (3, 32, 32))
        batch = {"data": pixels.reshape(10, 3072), "labels": labels.tolist()}
        content = pickle.dumps(batch, protocol=2)
        write(source / file, content)
        table[file] = md5(content)
        x.append(pixels), y.append(labels)
    monkeypatch.setitem(images._MD5, "cifar10", table)
    return {"source": source, "x": np.stack(x), "y": np.stack(y), "files": list(table)}


def test_cifar10_is_read_batch_by_batch(cifar):
    data = load("cifar10", root=cifar["source"])
    assert data.x_train.shape == (50, 3, 32, 32) and data.x_test.shape == (10, 3, 32, 32)
    expected = torch.tensor(cifar["x"][:5].reshape(50, 3, 32, 32)).float() / 255
    assert torch.equal(data.x_train, expected)
    assert data.y_train.tolist() == cifar["y"][:5].flatten().tolist()
    assert data.y_test.tolist() == cifar["y"][5].tolist()
    assert data.classes[0] == "airplane" and data.classes[9] == "truck"


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path(os.environ["COMPANION_CACHE"] + ".trap"),))


def test_a_pickle_is_not_opened_before_its_md5_was_compared(cifar, kept):
    (cifar["source"] / cifar["files"][3]).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="data_batch_4 is truncated or altered"):
        load("cifar10", root=cifar["source"])
    assert not Path(f"{kept}.trap").exists()


def test_cifar10_is_downloaded_as_one_archive(cifar, kept, monkeypatch):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file in cifar["files"]:
            tar.add(cifar["source"] / file, arcname=file)
    content = archive.getvalue()
    monkeypatch.setattr("torchvision.datasets.CIFAR10.tgz_md5", md5(content))
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_url",
        lambda url, root, filename, md5: (Path(root) / filename).write_bytes(content),
    )
    data = load("cifar10")
    assert data.y_test.tolist() == cifar["y"][5].tolist()
    assert files(kept) == sorted(cifar["files"])


@pytest.fixture
def small(monkeypatch, tmp_path) -> dict:
    (x, y), (u, v) = arrays(30, 0, (32, 32, 3)), arrays(20, 1, (32, 32, 3))
    content = io.BytesIO()
    np.savez(content, x_train=x, y_train=y, x_test=u, y_test=v)
    write(tmp_path / "source" / "cifar10-small.npz", content.getvalue())
    monkeypatch.setitem(
        images._MD5, "cifar10-small", {"cifar10-small.npz": md5(content.getvalue())}
    )
    return {"source": tmp_path / "source", "x": x, "y": y, "u": u}


def test_the_small_cifar10_comes_with_channels_first(small):
    data = load("cifar10-small", root=small["source"])
    assert data.x_train.shape == (30, 3, 32, 32) and data.x_train.is_contiguous()
    assert data.x_train[7, 2, 5, 3].item() == np.float32(small["x"][7, 5, 3, 2]) / np.float32(255)
    assert data.y_train.tolist() == small["y"].tolist() and data.y_train.dtype == torch.int64
    assert data.name == "cifar10-small" and data.classes[3] == "cat"


def test_an_npz_with_a_pickle_inside_is_refused(small, monkeypatch):
    content = io.BytesIO()
    np.savez(content, x_train=np.array([Trap()], dtype=object))
    write(small["source"] / "cifar10-small.npz", content.getvalue())
    table = {"cifar10-small.npz": md5(content.getvalue())}
    monkeypatch.setitem(images._MD5, "cifar10-small", table)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load("cifar10-small", root=small["source"])


def test_the_small_cifar10_is_never_downloaded(small, kept, monkeypatch):
    sentence = rf"not complete in {kept} and is never downloaded there: cifar10-small.npz is "
    action = "needed, put it there or point COMPANION_DATA at a folder with it"
    with pytest.raises(FileNotFoundError, match=sentence + action):
        load("cifar10-small")
    monkeypatch.setenv("COMPANION_DATA", str(small["source"]))
    assert len(load("cifar10-small").x_train) == 30


def test_a_damaged_npz_is_named(small):
    path = small["source"] / "cifar10-small.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"{path} is truncated or altered \(1000 bytes"):
        load("cifar10-small", root=small["source"])


# Where files are looked for ----------------------------------------------------------------------


def test_root_alone_is_searched_if_given(tiny, kept, monkeypatch, tmp_path):
    shutil.copytree(tiny["source"], kept)
    monkeypatch.setenv("COMPANION_DATA", str(tiny["source"]))
    sentence = (
        r"mnist is not complete in .*elsewhere and is not downloaded there: .*"
        r"t10k-labels-idx1-ubyte.gz are needed, put them there or point root at a folder with them"
    )
    with pytest.raises(FileNotFoundError, match=sentence):
        load("mnist", root=tmp_path / "elsewhere")


def test_a_root_that_lacks_one_file_names_that_one(tiny):
    (tiny["source"] / tiny["files"][2]).unlink()
    sentence = "there: MNIST/raw/t10k-images-idx3-ubyte.gz is needed, put it there"
    with pytest.raises(FileNotFoundError, match=sentence):
        load("mnist", root=tiny["source"])


def test_companion_data_comes_before_the_cache(tiny, kept, monkeypatch):
    shutil.copytree(tiny["source"], kept)
    (kept / tiny["files"][0]).write_bytes(b"damaged, but not the one that is read")
    monkeypatch.setenv("COMPANION_DATA", str(tiny["source"]))
    holds(load("mnist"), tiny)


def test_the_cache_is_searched_where_companion_data_has_not_all(tiny, kept, monkeypatch):
    shutil.copytree(tiny["source"], kept)
    (tiny["source"] / tiny["files"][1]).unlink()
    monkeypatch.setenv("COMPANION_DATA", str(tiny["source"]))
    holds(load("mnist"), tiny)


# Downloading -------------------------------------------------------------------------------------


def test_a_named_set_is_downloaded_once_and_verified(tiny, kept, server):
    holds(load("mnist"), tiny)
    assert files(kept) == sorted(tiny["files"])
    assert [Path(url).name for url in server] == MNIST_FILES
    assert len({url.rsplit("/", 1)[0] for url in server}) == 1
    holds(load("mnist"), tiny)
    assert len(server) == 4


def test_only_what_is_missing_is_downloaded(tiny, kept, server):
    shutil.copytree(tiny["source"], kept)
    (kept / tiny["files"][1]).unlink()
    holds(load("mnist"), tiny)
    assert [Path(url).name for url in server] == [MNIST_FILES[1]]


def test_a_second_address_is_tried(tiny, kept, server, monkeypatch):
    from torchvision.datasets import MNIST, utils

    answer = utils.download_url

    def first_is_down(url, *args, **options):
        if url.startswith(MNIST.mirrors[0]):
            raise urllib.error.HTTPError(url, 503, "Service Unavailable", None, None)
        answer(url, *args, **options)

    monkeypatch.setattr(MNIST, "mirrors", ["https://one.example/", "https://two.example/"])
    monkeypatch.setattr(utils, "download_url", first_is_down)
    holds(load("mnist"), tiny)
    assert len(server) == 4


def partly(tiny: dict, failing: int, failure):
    """A download that does its work until the file number `failing`, and then `failure`."""

    def answer(url, root, filename=None, md5=None):
        target = copy(tiny, root, filename)
        if filename == MNIST_FILES[failing]:
            failure(target)

    return answer


def raising(error: BaseException):
    def failure(target):
        raise error

    return failure


def cut_off(target: Path) -> None:
    target.write_bytes(target.read_bytes()[:20])


FAILURES = {
    "no network": (raising(urllib.error.URLError("no route")), r"\(urlopen error no route\)"),
    "timeout": (raising(TimeoutError("timed out")), r"\(timed out\)"),
    "torchvision": (raising(RuntimeError("File not found or corrupted.")), "corrupted"),
    "full disk": (raising(OSError(errno.ENOSPC, "x")), "No space left on device"),
    "nameless": (raising(ConnectionError()), "ConnectionError"),
    "truncated": (cut_off, r"train-labels-idx1-ubyte.gz arrived truncated or altered"),
}


@pytest.mark.parametrize(("failure", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(
    tiny, kept, monkeypatch, failure, reason
):
    answer = partly(tiny, 1, failure)
    monkeypatch.setattr("torchvision.datasets.utils.download_url", answer)
    sentence = rf"mnist is not on this disk and was not downloaded .*{reason}.*: a connection or "
    action = rf"the files are needed, try again later, or put .*ubyte.gz below {kept} or .*"
    with pytest.raises(FileNotFoundError, match=sentence + action + "COMPANION_DATA names"):
        load("mnist")
    assert list(kept.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tiny, kept, monkeypatch):
    answer = partly(tiny, 2, raising(KeyboardInterrupt()))
    monkeypatch.setattr("torchvision.datasets.utils.download_url", answer)
    with pytest.raises(KeyboardInterrupt):
        load("mnist")
    assert list(kept.iterdir()) == []


def test_without_a_cache_the_download_serves_this_call_only(tiny, server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be written"):
        holds(load("mnist"), tiny)
    holds(load("mnist"), tiny)
    assert len(server) == 8


def test_the_bar_of_the_download_obeys_the_environment(tiny, kept, server, monkeypatch, capsys):
    load("mnist")
    assert "a bar" in capsys.readouterr().err
    shutil.rmtree(kept)
    monkeypatch.setenv("COMPANION_PROGRESS", "0")
    load("mnist")
    assert capsys.readouterr() == ("", "")


def test_a_silent_server_is_given_up_and_nothing_else_gets_its_patience(tiny, monkeypatch):
    seen = []

    def answer(*args, **options):
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", answer)
    with pytest.raises(FileNotFoundError):
        load("mnist")
    assert seen and all(5 <= patience <= 60 for patience in seen)
    assert socket.getdefaulttimeout() is None


# Which set ---------------------------------------------------------------------------------------


def test_without_a_name_and_without_mnist_it_is_digits_and_nothing_is_fetched(tiny, capsys):
    assert load().name == "digits"
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("data set: digits, since MNIST is not on this disk")
    assert 'load("mnist") or COMPANION_DATASET=mnist' in line


@pytest.mark.parametrize("place", ["COMPANION_DATA", "COMPANION_CACHE", "root"])
def test_without_a_name_mnist_is_taken_where_it_is_found(tiny, place, monkeypatch, capsys):
    root = tiny["source"] if place == "root" else None
    if root is None:
        monkeypatch.setenv(place, str(tiny["source"]))
    holds(load(root=root), tiny)
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and line.startswith("data set: mnist, found on this disk")
    assert 'load("digits") or COMPANION_DATASET=digits' in line


def test_without_a_name_the_environment_decides_and_counts_as_naming(
    tiny, server, monkeypatch, capsys
):
    monkeypatch.setenv("COMPANION_DATASET", "mnist")
    holds(load(), tiny)
    assert len(server) == 4
    line = capsys.readouterr().out
    assert line == 'data set: mnist, as COMPANION_DATASET says; for another one, load("digits")\n'
    monkeypatch.setenv("COMPANION_DATASET", "digits")
    assert load().name == "digits"
    assert 'for another one, load("mnist")' in capsys.readouterr().out


def test_a_name_needs_no_line(capsys):
    load("digits")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fashion_mnist", "did you mean 'fashion-mnist'"),
        ("MNIST", "did you mean 'mnist'"),
        ("cifar-10", "did you mean 'cifar10'"),
        ("imagenet", "take one of these"),
    ],
)
def test_the_sentence_for_an_unknown_name(name, meant, monkeypatch):
    known = "which is no data set: digits, mnist, fashion-mnist, cifar10, cifar10-small are known"
    with pytest.raises(ValueError, match=f"name is '{name}', {known}, {meant}"):
        load(name)
    monkeypatch.setenv("COMPANION_DATASET", name)
    with pytest.raises(ValueError, match=f"COMPANION_DATASET is '{name}', {known}, {meant}"):
        load()


# Digits ------------------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn_split_in_two():
    from sklearn.datasets import load_digits

    raw, data = load_digits(), load("digits")
    assert data.x_train.shape == (1347, 1, 8, 8) and data.x_test.shape == (450, 1, 8, 8)
    assert data.x_train.min() == 0 and data.x_train.max() == 1
    both = torch.cat([data.x_train, data.x_test]).flatten(1) * 16
    labels = torch.cat([data.y_train, data.y_test])[:, None]
    ours = sorted(map(tuple, torch.cat([both, labels], dim=1).tolist()))
    theirs = sorted(map(tuple, np.column_stack([raw.data, raw.target]).tolist()))
    assert ours == theirs
    shares = data.y_test.bincount() / torch.tensor(raw.target).bincount()
    # 450 of 1,797, rounded to a whole image in classes of about 180.
    assert (shares - 450 / 1797).abs().max() < 1 / 174


def test_digits_keep_their_order_and_split_by_seed():
    from sklearn.datasets import load_digits

    raw = torch.tensor(load_digits().data).float() / 16
    a, again, b = load("digits", seed=0), load("digits", seed=0), load("digits", seed=1)
    assert torch.equal(a.x_train, again.x_train) and not torch.equal(a.y_test, b.y_test)
    for part in (a.x_train, a.x_test):
        places = [(raw == row).all(1).nonzero()[0, 0].item() for row in part.flatten(1)[:60]]
        assert places == sorted(places)


# Draws -------------------------------------------------------------------------------------------


def test_a_draw_keeps_order_and_shares_and_is_a_part_of_the_whole():
    data, whole = load("digits", n_train=100, n_test=50), load("digits")
    places = [(whole.x_train == x).flatten(1).all(1).nonzero()[0, 0].item() for x in data.x_train]
    assert places == sorted(set(places)) and len(places) == 100
    assert torch.equal(whole.y_train[places], data.y_train)
    assert data.y_train.bincount().tolist() == [10] * 10 and len(data.x_test) == 50


def test_the_test_draw_does_not_depend_on_the_training_draw():
    assert torch.equal(
        load("digits", n_test=50).x_test, load("digits", n_train=40, n_test=50).x_test
    )


def test_draws_follow_the_seed(tiny):
    def draw(seed):
        return load("mnist", root=tiny["source"], n_train=20, seed=seed)

    assert torch.equal(draw(1).x_train, draw(1).x_train)
    assert not torch.equal(draw(1).x_train, draw(2).x_train)
    holds(load("mnist", root=tiny["source"], n_train=40, n_test=20, seed=3), tiny)


def test_the_sentences_of_a_draw(tiny):
    asked = {"root": tiny["source"]}
    sentence = r"n_train of mnist: 41 samples were asked for and there are 40 in 10 classes: "
    with pytest.raises(ValueError, match=sentence + "ask for 10 to 40, or None for all"):
        load("mnist", n_train=41, **asked)
    with pytest.raises(ValueError, match=r"n_test of mnist: 9 samples .* 20 in 10 classes"):
        load("mnist", n_test=9, **asked)
    for size in (0, -1):
        with pytest.raises(ValueError, match=rf"n_train of digits: {size} samples were asked for"):
            load("digits", n_train=size)


def largest_remainder(counts: list[int], size: int) -> list[int]:
    """Slow reference in exact fractions."""
    quotas = [Fraction(size * count, sum(counts)) for count in counts]
    shares = [int(quota) for quota in quotas]
    order = sorted(range(len(counts)), key=lambda c: (shares[c] - quotas[c], c))
    for label in order[: size - sum(shares)]:
        shares[label] += 1
    return shares


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    size=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_a_stratified_draw_is_exact_and_without_repetition(counts, size, seed):
    size = len(counts) + round(size * (sum(counts) - len(counts)))
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    places = stratified(y, size, seed=seed)
    assert places.tolist() == sorted(set(places.tolist()))
    drawn = y[places].bincount(minlength=len(counts)).tolist()
    assert drawn == largest_remainder(counts, size)
    assert torch.equal(places, stratified(y, size, seed=seed))


def test_every_sample_is_drawn_equally_often():
    y = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    draws = torch.cat([stratified(y, 5, seed=seed) for seed in range(800)])
    hits = draws.bincount()
    # Binomial s.d. 14 about 400; five of these.
    assert (hits - 400).abs().max() < 70


def test_loading_touches_no_global_randomness():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    shuffle_labels(load("digits", n_train=100, n_test=50), seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()


def test_the_device_is_that_asked_for():
    data = load("digits", device="meta")
    for tensor in (data.x_train, data.y_train, data.x_test, data.y_test):
        assert tensor.device.type == "meta"


# Dataset -----------------------------------------------------------------------------------------


def blank(**change) -> Dataset:
    fields = dict(
        x_train=torch.zeros(4, 1, 2, 2),
        y_train=torch.tensor([0, 1, 0, 1]),
        x_test=torch.ones(3, 1, 2, 2),
        y_test=torch.tensor([0, 1, 1]),
        name="blank",
        classes=("a", "b"),
    )
    return Dataset(**fields | change)


def test_a_dataset_prints_in_two_lines():
    assert repr(blank()) == (
        "Dataset blank: 4 to train, 3 to test, each (1, 2, 2) float32 on cpu\n  2 classes: a, b"
    )
    full = blank(directions=torch.eye(4), hierarchy=torch.tensor([[0, 0], [0, 1], [0, 0], [0, 1]]))
    assert repr(full).endswith("2 classes: a, b; directions (4, 4); hierarchy of 2 levels")
    many = blank(classes=tuple(map(str, range(100))))
    assert repr(many).endswith("100 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, ..., 99")


def test_a_dataset_is_frozen_and_equal_to_itself_only():
    data = blank()
    with pytest.raises(AttributeError):
        data.name = "other"
    assert data == data and data != blank() and len({data, data}) == 1


def test_to_moves_every_tensor_and_shares_what_is_there():
    data = blank(directions=torch.eye(4), hierarchy=torch.tensor([[0], [1], [0], [1]]))
    moved = data.to("meta")
    for field in ("x_train", "y_train", "x_test", "y_test", "directions", "hierarchy"):
        assert getattr(moved, field).device.type == "meta"
    assert data.to("cpu").x_train is data.x_train
    assert blank().to(torch.device("cpu")).directions is None


def test_flat_makes_rows_and_keeps_the_rest():
    data = blank(directions=torch.eye(4)).flat()
    assert data.x_train.shape == (4, 4) and data.x_test.shape == (3, 4)
    assert data.directions.shape == (4, 4) and data.flat().x_train.shape == (4, 4)


NAN, INF = torch.full((4, 1, 2, 2), torch.nan), torch.full((4, 1, 2, 2), -torch.inf)
WRONG = [
    ({"classes": ["a", "b"]}, TypeError, r"classes is \['a', 'b'\]: a tuple of .* for instance"),
    ({"classes": (0, 1)}, TypeError, r"classes is \(0, 1\): a tuple of str"),
    ({"x_train": [[0.0]]}, TypeError, "x_train is a list: a floating-point tensor .* convert it"),
    (
        {"x_test": torch.zeros(3, 1, 2, 2, dtype=torch.uint8)},
        TypeError,
        r"x_test is a tensor \(3, 1, 2, 2\) of uint8: a floating-point tensor",
    ),
    ({"x_train": torch.zeros(4)}, TypeError, r"x_train is a tensor \(4,\) of float32"),
    (
        {"y_train": torch.zeros(4)},
        TypeError,
        r"y_train is a tensor \(4,\) of float32: an int64 tensor .* convert it",
    ),
    ({"y_test": torch.zeros(3, 1, dtype=torch.int64)}, TypeError, r"y_test is a tensor \(3, 1\)"),
    (
        {"y_train": torch.tensor([0, 1])},
        ValueError,
        "x_train has 4 samples and y_train 2 labels: one label per sample .* matching part",
    ),
    (
        {"x_test": torch.zeros(0, 1, 2, 2), "y_test": torch.zeros(0, dtype=torch.int64)},
        ValueError,
        "x_test has 0 samples and y_test 0 labels: .* at least one sample",
    ),
    (
        {"y_train": torch.tensor([0, 1, 0, 2])},
        ValueError,
        "y_train holds labels from 0 to 2 and there are 2 classes: labels 0 to 1 .* renumber",
    ),
    ({"y_test": torch.tensor([-1, 1, 0])}, ValueError, "y_test holds labels from -1 to 1"),
    ({"x_train": NAN}, ValueError, "x_train holds 16 values that are NaN or infinite: .* repair"),
    ({"x_train": INF}, ValueError, "x_train holds 16 values that are NaN or infinite"),
    (
        {"x_test": torch.zeros(3, 4)},
        ValueError,
        r"training samples are \(1, 2, 2\) and test samples \(4,\): both must .* reshape",
    ),
    (
        {"directions": torch.eye(3)},
        ValueError,
        r"directions is a tensor \(3, 3\) of float32: one column for each of the 4 axes .* or",
    ),
    (
        {"hierarchy": torch.zeros(4, 2)},
        ValueError,
        r"hierarchy is a tensor \(4, 2\) of float32: one int64 row .* pass a \(4, L\)",
    ),
    ({"hierarchy": torch.zeros(3, 2, dtype=torch.int64)}, ValueError, "4 training samples"),
    (
        {"hierarchy": torch.tensor([[0, 0], [1, 0], [0, 0], [1, 0]])},
        ValueError,
        "the last column of hierarchy differs from y_train: .* from coarse to fine",
    ),
]


@pytest.mark.parametrize(("change", "error", "sentence"), WRONG)
def test_the_sentences_of_a_dataset(change, error, sentence, as_a_user):
    with pytest.raises(error, match=sentence):
        blank(**change)


def test_large_finite_values_are_no_error():
    # Their sum overflows, which is what the quick check looks at first.
    assert blank(x_train=torch.full((4, 1, 2, 2), 3e38)).x_train.isfinite().all()


# Labels without meaning --------------------------------------------------------------------------


def test_shuffling_permutes_training_labels_only():
    data = load("digits")
    shuffled = shuffle_labels(data, seed=0)
    assert shuffled.x_train is data.x_train and torch.equal(shuffled.y_test, data.y_test)
    assert torch.equal(shuffled.y_train.bincount(), data.y_train.bincount())
    kept = (shuffled.y_train == data.y_train).float().mean().item()
    # 1,347 labels, one in ten stays: s.d. 0.008, five of these.
    assert abs(kept - 0.1) < 0.04
    assert shuffled.name == data.name and shuffled.classes == data.classes


def test_shuffling_follows_the_seed():
    data = load("digits")
    a, b = shuffle_labels(data, seed=0), shuffle_labels(data, seed=1)
    assert torch.equal(a.y_train, shuffle_labels(data, seed=0).y_train)
    assert not torch.equal(a.y_train, b.y_train)


def test_a_hierarchy_moves_with_its_labels():
    data = blank(hierarchy=torch.tensor([[5, 0], [6, 1], [5, 0], [6, 1]]))
    for seed in range(5):
        shuffled = shuffle_labels(data, seed=seed)
        assert torch.equal(shuffled.hierarchy[:, 0] - 5, shuffled.y_train)


def test_shuffling_works_where_the_labels_are():
    assert shuffle_labels(blank().to("meta"), seed=0).y_train.device.type == "meta"


# The real files, where they are ------------------------------------------------------------------


@pytest.fixture
def real():
    if not (Path(GIVEN) / "MNIST" / "raw").is_dir():
        pytest.skip(f"no MNIST/raw below {GIVEN}: set COMPANION_DATA to a folder that holds it")
    return Path(GIVEN)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_files_are_read_as_torchvision_reads_them(real, tmp_path, name):
    from torchvision import datasets

    reader = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name]
    folder = reader.__name__
    if not (real / folder / "raw").is_dir():
        pytest.skip(f"no {folder}/raw below {real}")
    shutil.copytree(real / folder, tmp_path / folder)
    data = load(name, root=real)
    for train, x, y in ((True, data.x_train, data.y_train), (False, data.x_test, data.y_test)):
        theirs = reader(str(tmp_path), train=train, download=True)
        assert torch.equal((x[:, 0] * 255).round().to(torch.uint8), theirs.data)
        assert torch.equal(y, theirs.targets)
    assert data.classes == tuple(c.split(" - ")[0] for c in theirs.classes)
    unpacked = [file.removesuffix(".gz") for file in images._MD5[name]]
    for file in unpacked:
        assert storage.file_checksum(tmp_path / file) == images._UNPACKED_MD5[file]


def test_real_mnist_has_its_known_counts_and_moments(real):
    data = load("mnist", root=real, n_test=2000)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.y_train.bincount().tolist() == counts
    assert data.x_train.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert data.x_train.std().item() == pytest.approx(0.3081, abs=5e-5)
    shares = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.y_test.bincount().tolist() == largest_remainder(shares, 2000)


def test_the_real_small_cifar10_has_its_known_counts_and_moments(real):
    if not (real / "cifar10-small.npz").is_file():
        pytest.skip(f"no cifar10-small.npz below {real}")
    data = load("cifar10-small", root=real)
    assert data.y_train.bincount().tolist() == [2000] * 10
    assert data.y_test.bincount().tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    means = data.x_train.mean(dim=(0, 2, 3))
    assert torch.allclose(means, torch.tensor([0.4928, 0.4828, 0.4471]), atol=5e-5)


def test_the_md5_table_is_that_of_torchvision():
    from torchvision import datasets

    for name, reader in (("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)):
        assert {Path(f).name: m for f, m in images._MD5[name].items()} == dict(reader.resources)
    batches = dict(datasets.CIFAR10.train_list + datasets.CIFAR10.test_list)
    assert {Path(f).name: m for f, m in images._MD5["cifar10"].items()} == batches
