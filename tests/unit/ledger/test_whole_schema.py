"""The ledger that `koukan init` makes has every table, whichever modules a command imports."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil
import koukan.ledger
from koukan.ledger import schema
known = set(schema.metadata.tables)
for item in pkgutil.iter_modules(koukan.ledger.__path__):
    importlib.import_module(f"koukan.ledger.{item.name}")
print(*sorted(set(schema.metadata.tables) - known))
"""


def test_importing_the_ledger_knows_all_tables() -> None:
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
