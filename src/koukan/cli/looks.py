"""A person's signature under one look: by her key, or made elsewhere under a question laid out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

import click

from koukan import durable
from koukan.cli import output
from koukan.cli.commands.approval import TERMINAL, passphrase
from koukan.cli.settings import Settings
from koukan.errors import UsageError

if TYPE_CHECKING:
    from koukan.engine.centre import Centre
    from koukan.engine.looks import Look, Subject
    from koukan.sites import Person

FILE = click.Path(path_type=Path)
LARGEST = 4096  # bytes of a question; some 400 are usual
F = TypeVar("F", bound=Callable[..., Any])


class Signing(NamedTuple):
    """How it is signed: one of the key, a question to be laid out, or a signature under one."""

    person_key: Path | None
    question: Path | None
    signature: Path | None

    @property
    def given(self) -> bool:
        return any(self)


def options(function: F) -> F:
    """The options of a command that takes a `Signing`."""
    for name in ("--signature", "--question", "--person-key"):
        function = click.option(name, type=FILE, metavar="FILE")(function)
    return function


@contextmanager
def terminal() -> Iterator[TextIO]:
    """The terminal of whoever runs this, to write to.

    Raises:
        UsageError: there is none.
    """
    try:
        handle = os.open(TERMINAL, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        raise UsageError("looks.no_terminal") from None
    with os.fdopen(handle, "w", encoding="utf-8") as screen:
        yield screen


def allowed(
    settings: Settings, centre: Centre, operation: Look, subject: Subject, signing: Signing
) -> Person | None:
    """Who may look now; None: the question was laid out, to be signed elsewhere.

    Raises:
        UsageError: see `engine.looks.authorised`, or the options do not fit together.
    """
    from koukan.engine.looks import authorised, question
    from koukan.keys.approval import NAMESPACE
    from koukan.keys.secret import read_small
    from koukan.keys.sshsig import LARGEST as SIGNATURE
    from koukan.keys.sshsig import load_private_key

    key, asked, signature = signing.person_key, signing.question, signing.signature
    if (key is None) == (asked is None) or (signature is not None and asked is None):
        raise UsageError("cli.person_key_or_question")
    if key is not None:
        person = load_private_key(
            key, outside=centre.root, passphrase=lambda: passphrase(settings, key)
        )
        text = question(centre, operation, subject)
        given = person.sign(text.encode("ascii"), NAMESPACE)
        return authorised(centre, text, given, operation, subject)
    assert asked is not None
    if signature is None:
        if asked.exists() or not asked.absolute().parent.is_dir():
            raise UsageError("history.output_place", path=asked.name)
        durable.write(asked.absolute(), question(centre, operation, subject).encode("ascii"))
        output.tell(settings.text("cli.question_laid_out", path=asked.name, key=NAMESPACE))
        return None
    for file in (asked, signature):
        if not file.is_file():
            raise UsageError("offline.no_file", file=file.name)
    try:
        text = read_small(asked.resolve(), LARGEST).decode("ascii")
    except UnicodeDecodeError:
        raise UsageError("looks.other") from None
    signed = read_small(signature.resolve(), SIGNATURE)
    return authorised(centre, text, signed, operation, subject)
