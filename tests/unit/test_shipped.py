"""Where the definitions are found: in a wheel's copy, or at the top level of a checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from koukan import shipped

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_checkout_uses_its_top_level_folders() -> None:
    assert shipped.formats_folder() == CHECKOUT / "formats"
    assert shipped.jobs_folder() == CHECKOUT / "jobs"


def _copy_package(into: Path) -> Path:
    """The package's two modules that the look-up needs, without the rest of the checkout."""
    package = into / "koukan"
    package.mkdir(parents=True)
    source = Path(shipped.__file__).parent
    for name in ("__init__.py", "errors.py", "shipped.py"):
        shutil.copy(source / name, package / name)
    return package


def _ask(package: Path, function: str) -> subprocess.CompletedProcess[str]:
    program = f"from koukan import shipped; print(shipped.{function}())"
    return subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["formats", "jobs"])
def test_an_installed_package_uses_its_own_copy(tmp_path: Path, name: str) -> None:
    package = _copy_package(tmp_path / "lib" / "site-packages")
    (package / "_shared" / name).mkdir(parents=True)

    answer = _ask(package, f"{name}_folder")

    assert Path(answer.stdout.strip()) == package / "_shared" / name


def test_a_foreign_folder_of_that_name_is_not_taken(tmp_path: Path) -> None:
    package = _copy_package(tmp_path / "lib" / "site-packages")
    (tmp_path / "lib" / "formats").mkdir()

    answer = _ask(package, "formats_folder")

    assert answer.returncode != 0
    assert "shipped.missing (folder formats)" in answer.stderr
