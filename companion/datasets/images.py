"""Real images: where they are looked for, how they are verified, read and, if named, downloaded.

The files are those their authors published, in torchvision's layout, and are read as they are: the
compressed ones without unpacking, so a folder that cannot be written will do. Every file is
compared with its known md5 before a byte of it is used. Explained in
`book/distances/metric_structure`; origin and licence of each set stand on the book's data page.
"""

import contextlib
import difflib
import gzip
import hashlib
import http.client
import io
import os
import pickle
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from companion import storage
from companion.datasets.dataset import Dataset, stratified
from companion.datasets.download import compare, from_any, patient

__all__ = ["NAMES", "load", "located"]

# x_train, y_train, x_test, y_test: pixels as stored, (n, C, H, W), and labels.
_Splits = tuple[Tensor, Tensor, Tensor, Tensor]

_TEN = tuple("0123456789")
_CLASSES = {
    "digits": _TEN,
    "mnist": _TEN,
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
}
_CLASSES["cifar10-small"] = _CLASSES["cifar10"]

#: What `load` knows, digits and MNIST first.
NAMES = tuple(_CLASSES)

# md5 of every file, below the folder that holds the data sets. The order is that of reading.
_MD5 = {
    "mnist": {
        "MNIST/raw/train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "MNIST/raw/train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "MNIST/raw/t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "MNIST/raw/t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion-mnist": {
        "FashionMNIST/raw/train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "FashionMNIST/raw/train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    "cifar10": {
        "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "cifar10-small": {"cifar10-small.npz": "736c6f1fc66b93afd5b0a55266c5b1b4"},
}
# The same files as torchvision unpacks them: used where the compressed ones are missing.
_UNPACKED_MD5 = {
    "MNIST/raw/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "MNIST/raw/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "MNIST/raw/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "MNIST/raw/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "FashionMNIST/raw/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "FashionMNIST/raw/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "FashionMNIST/raw/t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "FashionMNIST/raw/t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


def load(
    name: str | None = None,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    root: Path | str | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Dataset:
    """Images as float32 (n, C, H, W) in [0, 1] with int64 labels, verified and ready to fit.

    The names, their samples to train and to test, their shapes and where they come from::

        digits         1,347 and 450, by seed   (1, 8, 8)    scikit-learn, always there
        mnist          60,000 and 10,000        (1, 28, 28)  disk or download, 11.6 MB
        fashion-mnist  60,000 and 10,000        (1, 28, 28)  disk or download, 31 MB
        cifar10        50,000 and 10,000        (3, 32, 32)  disk or download, 170 MB
        cifar10-small  20,000 and 1,000         (3, 32, 32)  disk (an npz), never downloaded

    Files are looked for below `root` alone if it is given, else below `COMPANION_DATA`, then in
    the cache folder (`storage.cache`); only a set that was named, here or by `COMPANION_DATASET`,
    is then downloaded into the cache folder.

    Args:
        name: One of the names above. By default what `COMPANION_DATASET` says, else `mnist` if it
            is on disk, else `digits`; one printed line says which.
        n_train: That many of the training samples, with the class shares of the whole and in the
            original order; by default all.
        n_test: That many of the test samples, drawn alike; by default all.
        root: The only folder to look in; by default the places named above.
        device: Where the tensors are to be; by default on the CPU.
        seed: What samples are drawn with, and what splits `digits`, stratified.

    Returns:
        The data under its name.

    Raises:
        ValueError: For an unknown name, more samples than exist or fewer than classes, and a
            truncated or altered file.
        FileNotFoundError: For files that are not found, and not downloaded (or not downloadable).

    Cost: MNIST takes 0.6 s of one core and 300 MB at the peak, of which it keeps 220.

    >>> load("digits", n_train=100)
    Dataset digits: 100 to train, 450 to test, each (1, 8, 8) float32 on cpu
      10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
    """
    name = _chosen(root) if name is None else _known(name, "name")
    x_train, y_train, x_test, y_test = _digits(seed) if name == "digits" else _read(name, root)
    white = 16 if name == "digits" else 255
    train = _drawn(name, "n_train", y_train, n_train, seed)
    test = _drawn(name, "n_test", y_test, n_test, seed)
    return Dataset(
        x_train=x_train[train].float().div_(white),
        y_train=y_train[train],
        x_test=x_test[test].float().div_(white),
        y_test=y_test[test],
        name=name,
        classes=_CLASSES[name],
    ).to(device)


def located(name: str, root: Path | str | None = None) -> Path | None:
    """The folder in which a data set lies whole; nothing is downloaded, nothing is read.

    Args:
        name: One of `NAMES`.
        root: The only folder to look in; by default where `load` looks.

    Returns:
        The folder; None where files are missing, and for `digits`, which needs none.

    >>> located("digits") is None
    True
    """
    places = _places(root) if name in _MD5 else []
    return next((place for place in places if not _missing(name, place)), None)


def _chosen(root: Path | str | None) -> str:
    named = os.environ.get("COMPANION_DATASET")
    if named:
        name = _known(named, "COMPANION_DATASET")
        other = "digits" if name != "digits" else "mnist"
        print(f'data set: {name}, as COMPANION_DATASET says; for another one, load("{other}")')
    elif located("mnist", root):
        name = "mnist"
        print(
            "data set: mnist, found on this disk; for the small one, "
            'load("digits") or COMPANION_DATASET=digits'
        )
    else:
        name = "digits"
        print(
            "data set: digits, since MNIST is not on this disk; to download it (11.6 MB), "
            'load("mnist") or COMPANION_DATASET=mnist'
        )
    return name


def _known(name: str, origin: str) -> str:
    if name in _CLASSES:
        return name
    typed = str(name).lower().replace("_", "-")
    near = difflib.get_close_matches(typed, _CLASSES, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}" if near else "take one of these"
    raise ValueError(
        f"{origin} is {name!r}, which is no data set: {', '.join(_CLASSES)} are known, {meant}."
    )


def _drawn(name: str, option: str, y: Tensor, size: int | None, seed: int) -> Tensor | slice:
    if size is None:
        return slice(None)
    try:
        return stratified(y, size, seed=seed)
    except ValueError as error:
        raise ValueError(f"{option} of {name}: {error}") from None


def _read(name: str, root: Path | str | None) -> _Splits:
    with _place(name, root) as place:
        files = [_verified(_file(place, file), name) for file in _MD5[name]]
    if name == "cifar10":
        return *_batches(files[:5]), *_batches(files[5:])
    if name == "cifar10-small":
        return _npz(files[0])
    x_train, y_train, x_test, y_test = (torch.from_numpy(_idx(file)) for file in files)
    return x_train[:, None], y_train.long(), x_test[:, None], y_test.long()


def _digits(seed: int) -> _Splits:
    from sklearn.datasets import load_digits

    raw = load_digits()
    x, y = torch.from_numpy(raw.images)[:, None], torch.from_numpy(raw.target).long()
    test = torch.zeros(len(y), dtype=torch.bool)
    test[stratified(y, 450, seed=seed)] = True
    return x[~test], y[~test], x[test], y[test]


def _idx(raw: bytes) -> np.ndarray:
    """The IDX format: two zeros, type 8, d, then d big-endian sizes, then the bytes in C order."""
    sizes = np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4)
    # A copy, since torch needs memory that can be written.
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * raw[3]).reshape(sizes).copy()


def _batches(files: list[bytes]) -> tuple[Tensor, Tensor]:
    # A pickle can run any code; these bytes are the known ones, their md5 was compared.
    parts = [pickle.loads(file, encoding="latin1") for file in files]
    x = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
    return torch.from_numpy(x), torch.tensor([label for part in parts for label in part["labels"]])


def _npz(file: bytes) -> _Splits:
    with np.load(io.BytesIO(file), allow_pickle=False) as arrays:
        x = [torch.from_numpy(arrays[f"x_{split}"]) for split in ("train", "test")]
        y = [torch.from_numpy(arrays[f"y_{split}"]).long() for split in ("train", "test")]
    channels_first = [pixels.permute(0, 3, 1, 2).contiguous() for pixels in x]
    return channels_first[0], y[0], channels_first[1], y[1]


def _verified(path: Path, name: str) -> bytes:
    """The content of a file whose md5 is the known one, unpacked where it is compressed."""
    known = {**_MD5[name], **_UNPACKED_MD5}
    expected = next(md5 for file, md5 in known.items() if path.as_posix().endswith("/" + file))
    raw = path.read_bytes()
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path} is truncated or altered ({len(raw)} bytes, md5 {found}): the published file "
            f"has md5 {expected}, delete this one and copy or download it anew."
        )
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def _file(place: Path, file: str) -> Path:
    """Where a file lies below `place`, unpacked only if it is not there compressed."""
    path, unpacked = place / file, file.removesuffix(".gz")
    return place / unpacked if unpacked in _UNPACKED_MD5 and not path.is_file() else path


def _missing(name: str, place: Path) -> list[str]:
    return [file for file in _MD5[name] if not _file(place, file).is_file()]


def _places(root: Path | str | None) -> list[Path]:
    named = os.environ.get("COMPANION_DATA")
    if root is not None:
        candidates = [Path(root)]
    else:
        candidates = [Path(named) if named else None, storage.cache()]
    return [place.expanduser().absolute() for place in candidates if place is not None]


@contextlib.contextmanager
def _place(name: str, root: Path | str | None) -> Iterator[Path]:
    """The first folder that holds the whole data set, downloaded into the cache if need be."""
    places, found = _places(root), located(name, root)
    if found is not None:
        yield found
        return
    if root is not None or name == "cifar10-small":
        absent = _missing(name, places[0]) if places else list(_MD5[name])
        be, them = ("is", "it") if len(absent) == 1 else ("are", "them")
        raise FileNotFoundError(
            f"{name} is not complete in {' or '.join(map(str, places)) or 'any folder'} and is "
            f"{'never' if root is None else 'not'} downloaded there: {', '.join(absent)} "
            f"{be} needed, put {them} there or point "
            f"{'COMPANION_DATA' if root is None else 'root'} at a folder with {them}."
        )
    with contextlib.ExitStack() as stack:
        folder = storage.cache()
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _download(name, folder)
        yield folder


def _download(name: str, folder: Path) -> None:
    """Fetch what is missing below `folder`: each file appears there whole and verified, or not."""
    missing = _missing(name, folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as part, patient():
            _fetch(name, missing, Path(part))
            for file in missing:
                with storage.written(folder / file) as target:
                    os.replace(Path(part) / file, target)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else " ".join(str(error).split()).strip("<>.")
        raise FileNotFoundError(
            f"{name} is not on this disk and was not downloaded "
            f"({reason or type(error).__name__}): a connection or the files are needed, try again "
            f"later, or put {', '.join(missing)} below {folder} or below a folder that "
            f"COMPANION_DATA names."
        ) from error


def _fetch(name: str, missing: list[str], part: Path) -> None:
    from torchvision import datasets

    if name == "cifar10":
        source = datasets.CIFAR10
        from_any([source.url], part / source.filename, source.tgz_md5)
        with tarfile.open(part / source.filename) as archive:
            for file in missing:
                (part / file).parent.mkdir(exist_ok=True)
                (part / file).write_bytes(archive.extractfile(file).read())
                compare(part / file, _MD5[name][file])
        return
    source = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name]
    for file in missing:
        path = part / file
        from_any([mirror + path.name for mirror in source.mirrors], path, _MD5[name][file])
