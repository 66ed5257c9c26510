"""Read while others write rows anew: files may go between the look at the log and at them.

What went is in no version that the ledger knows by then, so that asking once more answers as if one
had come a moment later. Without a group that took files away, a missing file is what it always was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from koukan.engine.centre import Centre
from koukan.errors import IntegrityError, SecretError, TransientError
from koukan.ledger import rewritings

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@contextmanager
def undisturbed(centre: Centre) -> Iterator[None]:
    """Reads in the block fail as a passing fault if files went in the meantime.

    Raises:
        TransientError: ask again.
    """
    before = rewritings.newest(centre.ledger)
    try:
        yield
    except (IntegrityError, SecretError):
        if rewritings.newest(centre.ledger) == before:
            raise
        raise TransientError("tables.rewritten") from None


def steady(
    ask: Callable[Concatenate[Centre, Arguments], Answer],
) -> Callable[Concatenate[Centre, Arguments], Answer]:
    """A question that opens the tables itself: it is asked once more if files went meanwhile."""

    @wraps(ask)
    def asked(centre: Centre, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            with undisturbed(centre):
                return ask(centre, *args, **kwargs)
        except TransientError as passing:
            if passing.key != "tables.rewritten":
                raise
        with undisturbed(centre):
            return ask(centre, *args, **kwargs)

    return asked
