"""Where the definitions lie that come with koukan: `formats/` and `jobs/`.

The wheel holds a copy of both inside the package; in a checkout they stand at its top level, where
they are edited. A site's own folders of the same names override them file by file, which is the
business of those who read them.
"""

from __future__ import annotations

from pathlib import Path

from koukan.errors import EnvironmentRefused

_PACKAGE = Path(__file__).resolve().parent


def formats_folder() -> Path:
    """The folder with one TOML per exchanged file.

    Raises:
        EnvironmentRefused: neither a wheel's copy nor a checkout's folder is there.
    """
    return _find("formats", _PACKAGE)


def jobs_folder() -> Path:
    """The folder with one TOML per scheduled job.

    Raises:
        EnvironmentRefused: neither a wheel's copy nor a checkout's folder is there.
    """
    return _find("jobs", _PACKAGE)


def _find(name: str, package: Path) -> Path:
    copy = package / "_shared" / name
    if copy.is_dir():
        return copy
    checkout = package.parent.parent
    # Without this look an installed package would take any folder of that name for its own.
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise EnvironmentRefused("shipped.missing", folder=name)
