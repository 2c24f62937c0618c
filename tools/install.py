"""Install the locked versions, with the builds of PyTorch that this machine can use.

    python tools/install.py [--torch-index cpu] EXTRA...

Run by the interpreter of the environment that is filled, before anything is installed there, so
that only the standard library is used. Where `uv` is on the path it installs, else pip; both take
the same lock. torch and torchvision come from one index: those of two do not fit together.
"""

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

__all__ = ["cpu_index", "has_nvidia", "main", "reachable", "torch_index"]

ROOT = Path(__file__).resolve().parents[1]
TORCH = ("torch", "torchvision")
SECONDS = 10
# Of the driver: in Linux, and in Linux inside Windows.
DRIVER = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/usr/lib/wsl/lib/nvidia-smi")


def cpu_index(root: Path = ROOT) -> str:
    """The address of PyTorch's CPU builds; environment.yml is its one place in the repository."""
    text = (root / "environment.yml").read_text(encoding="utf-8")
    return re.search(r"--extra-index-url +(\S+)", text)[1]


def has_nvidia() -> bool:
    """Whether the driver of an NVIDIA device is loaded."""
    return any(Path(place).exists() for place in DRIVER)


def reachable(index: str) -> bool:
    """Whether an index of packages answers when it is asked for torch."""
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/torch/", timeout=SECONDS):
            return True
    except (OSError, ValueError):  # no connection, no such page; no address at all
        return False


def torch_index(wanted: str, root: Path = ROOT) -> str | None:
    """Where torch and torchvision come from: an address, or None for the ordinary index.

    Prints one sentence if that is not what the lock alone would give.

    Args:
        wanted: "" to choose by the machine, "cpu" for the CPU builds, "default" for the ordinary
            index, or the address of any other.
        root: The checkout.
    """
    if wanted == "default" or not wanted and (sys.platform != "linux" or has_nvidia()):
        return None  # elsewhere than on Linux the ordinary builds are small
    index = cpu_index(root) if wanted in ("", "cpu") else wanted
    what = "PyTorch's CPU builds" if wanted in ("", "cpu") else f"{wanted}"
    if not reachable(index):
        print(
            f"The index of {what} cannot be reached, so PyTorch comes from the ordinary one"
            + (", on Linux with CUDA: several GB." if sys.platform == "linux" else "."),
            flush=True,
        )
        return None
    if not wanted:
        print(
            "No NVIDIA device here: PyTorch comes in its CPU builds "
            "(TORCH_INDEX=default takes the ordinary ones).",
            flush=True,
        )
    return index


def locked(lock: Path) -> dict[str, str]:
    """The version of each package in a lock."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def installed(name: str) -> str | None:
    """The version that is there, without the label of its build; None if it is not there."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def remove_torn(folder: Path) -> None:
    """Forget what was cut off while being installed, which would be taken for whole."""
    for info in folder.glob("*.dist-info"):
        if not (info / "RECORD").is_file():  # written last
            shutil.rmtree(info)


def run(*arguments: str) -> bool:
    """Install with uv if it is on the path, else, or where that fails, with pip."""
    uv = shutil.which("uv")
    if uv is not None:
        if _call(uv, "pip", "install", "--python", sys.executable, *arguments):
            return True
        print("uv could not install them: pip is tried.", flush=True)
    return _call(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments)


def _call(*command: str) -> bool:
    return subprocess.run(command, cwd=ROOT).returncode == 0


def install(extras: list[str], also: list[str], lock: Path, wanted: str) -> bool:
    """Fill the environment of this interpreter; whether all went well."""
    remove_torn(Path(sysconfig.get_path("purelib")))
    bound = ["-c", str(lock)]
    if not run("-q", *bound, "setuptools", "wheel"):
        return False
    versions = locked(lock)
    if any(installed(name) != versions[name] for name in TORCH) and (index := torch_index(wanted)):
        pair = [f"{name}=={versions[name]}" for name in TORCH]
        # Both anew, so that one left from another index does not stay beside the other.
        if not run("--no-deps", "--force-reinstall", "--index-url", index, *pair):
            print(f"{' and '.join(pair)} cannot be had there: the ordinary index is used.")
    return run(*bound, "--no-build-isolation", *also, "-e", f".[{','.join(extras)}]")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("extras", nargs="+", metavar="EXTRA", help="book, test")
    parser.add_argument("--also", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--lock", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument(
        "--torch-index", default="", metavar="WHERE", help="cpu, default, or an address"
    )
    options = parser.parse_args(arguments)
    done = install(options.extras, options.also, options.lock.resolve(), options.torch_index)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
