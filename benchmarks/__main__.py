"""Run every benchmark, or those named: `python -m benchmarks [NAME ...] [--small]`."""

import importlib
import pkgutil
import sys

import benchmarks


def main(arguments: list[str]) -> None:
    """Run each file of this folder that has a `main`, in the order of their names."""
    small, names = "--small" in arguments, [a for a in arguments if not a.startswith("-")]
    present = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    missing = sorted(set(names) - set(present))
    if missing:
        sys.exit(f"No benchmark named {', '.join(missing)}: choose from {', '.join(present)}.")
    for name in names or present:
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "main") and name != "__main__":
            module.main(small=small)


if __name__ == "__main__":
    main(sys.argv[1:])
