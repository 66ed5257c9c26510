"""A run that dies: `killed_run.py FOLDER before|after|writing` on the table in FOLDER."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from tests.unit.tables.support import BASIC, people, table_in


def main() -> None:
    os.umask(0o077)
    table = table_in(Path(sys.argv[1]))
    start = table.create()
    when = sys.argv[2]
    if when == "writing":
        for part in itertools.count():
            table.write(BASIC, people(20_000), f"g1-{part}")
            sys.stdout.write("file\n")
            sys.stdout.flush()
    files = [table.write(BASIC, people(10, start=part * 10), f"g1-{part}") for part in range(2)]
    if when == "after":
        table.commit(files, [], transaction=1, expected=start)
    os.kill(os.getpid(), signal.SIGKILL)


main()
