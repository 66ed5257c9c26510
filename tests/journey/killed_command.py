"""A command that dies: killed_command.py COUNT ARGUMENT… kills itself before its so many-th effect.

An effect is whatever lasts: a file that is opened to be written, a name that is made, changed or
removed, a transaction of the ledger that is committed. With 0 it lives, and says how many there
were in a last line of its output.
"""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import Engine, event

from koukan.cli import main

NAMES = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"))
WRITING = os.O_WRONLY | os.O_RDWR


class Effects:
    """Counts what lasts; dies before the one that is wanted."""

    def __init__(self, last: int) -> None:
        self.last, self.seen = last, 0

    def __call__(self, *_: object) -> None:
        self.seen += 1
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[object, ...]) -> None:
        if name in NAMES or (name == "open" and written(*arguments[::2])):
            self()


def written(path: object, flags: object) -> bool:
    """Whether a file is opened to be written."""
    own = not str(path).startswith(("/dev/", "/proc/"))
    return own and isinstance(flags, int) and bool(flags & WRITING)


def run() -> int:
    effects = Effects(int(sys.argv[1]))
    event.listen(Engine, "commit", effects)
    sys.addaudithook(effects.audit)
    code = main(sys.argv[2:])
    if effects.last == 0:
        sys.stdout.write(f"\n{effects.seen}\n")
    return code


if __name__ == "__main__":
    sys.exit(run())
