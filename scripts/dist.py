"""Builds the wheel and the sdist, and tries them as a user would get them: `make dist`.

Owns the order of the steps and what is printed. The main environment has what builds and checks (group `dist`).

    build the sdist, and from it the wheel
    --> check both: their metadata, and the README as an index shows it
    --> install the wheel into an empty environment: its size, and what `import creche` costs there
    --> unpack the sdist, install it into another one, and run its tests from there

Arguments go to pytest: `make dist ARGS="tests/tasks"`.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
IMPORTS = 15
"""How often the import is timed; each time in a process of its own, beside one that imports nothing."""

TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def main(arguments: list[str]) -> int:
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    with tempfile.TemporaryDirectory(prefix="creche-dist-") as folder:
        show_costs(wheel, empty_environment(Path(folder, "wheel")))
        test_sdist(sdist, Path(folder, "sdist"), arguments)
    return 0


def empty_environment(folder: Path) -> Path:
    """Make an environment with nothing but pip in it; return its Python."""
    venv.create(folder, with_pip=True, clear=True)
    return folder / "bin" / "python"


def show_costs(wheel: Path, python: Path) -> None:
    """Print the size of the wheel, what comes with it, and the time of the import."""
    run(python, "-m", "pip", "install", "--quiet", wheel)
    names = said(python, "-m", "pip", "list", "--format=freeze").split()
    others = [name for name in names if not name.startswith(("pip==", "creche"))]
    times = [float(said(python, "-c", TIMED.format("import creche"))) for _ in range(IMPORTS)]
    loaded = said(python, "-c", "import creche, sys; print(len(sys.modules))").strip()
    print(f"wheel          {wheel.stat().st_size / 1024:.0f} KiB, brings {', '.join(others)}")
    print(
        f"import creche  {statistics.median(times) * 1000:.1f} ms, {loaded} modules loaded in all"
    )


def test_sdist(sdist: Path, folder: Path, arguments: list[str]) -> None:
    """Unpack the sdist, install it with what its tests need, and run them from there."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    python = empty_environment(folder / "environment")
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")  # one that knows groups
    run(python, "-m", "pip", "install", "--quiet", "--group", f"{project / 'pyproject.toml'}:test")
    run(python, "-m", "pip", "install", "--quiet", sdist)
    where = said(python, "-c", "import creche; print(creche.__file__)").strip()
    if re.match(re.escape(str(folder / "environment")), where) is None:
        raise SystemExit(f"the tests would not run what was installed, but {where}")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, at=project)


def run(*command: str | Path, at: Path = ROOT) -> None:
    done = subprocess.run([str(word) for word in command], cwd=at, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def said(*command: str | Path) -> str:
    # Away from the project: what is imported is what was installed.
    return subprocess.run(command, cwd="/", check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
