"""The program `koukan`: runs the command line and lets no unforeseen error tell what it saw.

Messages of foreign exceptions may hold values of records, so they are never printed: only the
exception's type and the places in the code. The word catalogue may be what is broken, so the two
sentences needed here stand here.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator

from koukan.errors import Exit

_SENTENCES = (
    "koukan: 内部の誤りで停止しました。次の行を添えて開発元に連絡してください。",
    "koukan: stopped by an internal error. Report the next line to the developers.",
)


def main() -> int:
    """Run `koukan` with the arguments of this process; returns its exit code."""
    # Threads and finalizers print the whole exception, too, if nobody stops them.
    sys.excepthook = lambda _type, error, _trace: _report(error)
    threading.excepthook = lambda args: _report(args.exc_value)
    sys.unraisablehook = lambda args: _report(args.exc_value)
    code = _run()
    return max(code, _flush())


def _run() -> int:
    try:
        from koukan.cli import main as run

        return int(run(sys.argv[1:]))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit as stop:
        # Somebody's sys.exit("text") would print its text; only codes pass.
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or Exit.DONE
        _report(stop)
        return Exit.INTERNAL
    except BaseException as error:  # noqa: BLE001 - a panic of polars is no Exception
        _report(error)
        return Exit.INTERNAL


def _flush() -> int:
    """Push stdout out here: at the interpreter's end a failure would become exit code 120."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return Exit.DONE  # the reader, `head` say, has seen enough
        _report(error)
        return Exit.INTERNAL
    return Exit.DONE


def _report(error: BaseException | None) -> None:
    lines = (*_SENTENCES, f"koukan: {' < '.join(_describe(error))}")
    try:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # stderr is closed: the exit code must say it all


def _describe(error: BaseException | None) -> Iterator[str]:
    """Type and places of an exception and of those it came from; nothing of their texts."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        places = [
            f"{frame.f_globals.get('__name__', '?')}:{line}"
            for frame, line in traceback.walk_tb(error.__traceback__)
        ]
        missing = f" {error.name}" if isinstance(error, ImportError) and error.name else ""
        yield " ".join([f"{type(error).__name__}{missing}", *places[-6:]])
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


if __name__ == "__main__":
    sys.exit(main())
