"""What every command knows before it begins: language, form of output, root, key files."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from koukan import words
from koukan.cli import process
from koukan.errors import UsageError

if TYPE_CHECKING:
    from koukan.engine.centre import Centre
    from koukan.engine.desk import Desk
    from koukan.formats import Catalogue

CREDENTIAL = "koukan-batch-key"  # name of the systemd credential
SFTP_CREDENTIAL = "koukan-sftp-key"  # of the one for partners' hosts


@dataclass
class Settings:
    """Options that all commands share; those given on the command line win."""

    environment: Mapping[str, str]
    language: str = words.LANGUAGES[0]
    json: bool = False
    root: Path | None = None
    key: Path | None = None
    sftp_key: Path | None = None

    @classmethod
    def early(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
        """Before the command line is parsed: help and complaints need a language, too."""
        root = _given(arguments, "--root") or environment.get("KOUKAN_ROOT")
        language = words.choose(
            _given(arguments, "--lang"), environment.get("KOUKAN_LANG"), _of_site(root)
        )
        key = environment.get("KOUKAN_KEY_FILE")
        sftp_key = environment.get("KOUKAN_SFTP_KEY_FILE")
        return cls(
            environment,
            language,
            "--json" in arguments,
            Path(root) if root else None,
            Path(key) if key else _credential(environment, CREDENTIAL),
            Path(sftp_key) if sftp_key else _credential(environment, SFTP_CREDENTIAL),
        )

    def text(self, key: str, /, **where: object) -> str:
        """A sentence or label in the language of this run."""
        return words.sentence(key, self.language, **where)

    def need_root(self) -> Path:
        """The root folder; there is no default for it."""
        if self.root is None:
            raise UsageError("cli.no_root")
        return self.root

    def need_key(self) -> Path:
        """The key file."""
        if self.key is None:
            raise UsageError("cli.no_key")
        return self.key

    @contextmanager
    def centre(self, observe: Callable[..., None] | None = None) -> Iterator[Centre]:
        """The site, opened for the time of the block."""
        root, key = self.need_root(), self.need_key()
        process.spill_into(root.resolve() / "temporary")
        from koukan.engine.centre import ignore, open_centre

        found = open_centre(root, key, observe=observe or ignore, sftp_key=self.sftp_key)
        try:
            yield found
        finally:
            found.close()

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """The site as a person sees it who holds none of its keys."""
        root = self.need_root()
        process.spill_into(root.resolve() / "temporary")
        from koukan.engine.desk import open_desk

        found = open_desk(root)
        try:
            yield found
        finally:
            found.close()

    def catalogue(self) -> Catalogue:
        """The definitions that ship with koukan, under those of the site if there is one."""
        from koukan import shipped
        from koukan.formats import require_catalogue

        own = () if self.root is None else (self.root / "formats",)
        return require_catalogue(shipped.formats_folder(), *own)


def _given(arguments: Sequence[str], option: str) -> str | None:
    """The value of an option that was not parsed yet; the last one wins."""
    found = None
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif argument.startswith(f"{option}="):
            found = argument.removeprefix(f"{option}=")
    return found


def _of_site(root: str | None) -> str | None:
    """`language` of site.toml; what is wrong with that file is told by those who need the rest."""
    if not root:
        return None
    try:
        values = tomllib.loads((Path(root) / "site.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    language = values.get("language")
    return language if isinstance(language, str) else None


def _credential(environment: Mapping[str, str], name: str) -> Path | None:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / name if folder else None
    return path if path is not None and path.is_file() else None
