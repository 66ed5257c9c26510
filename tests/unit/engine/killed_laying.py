"""Lays a package and dies at a step: `killed_laying.py FOLDER STEP PUBLIC_KEY`.

Steps are what the file system is asked to change, counted by the interpreter itself. Prints them;
ends in 0 when there were fewer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from package_support import ABOUT, NAME, SIGNER, contents

from koukan.engine.packages import lay

STEPS = ("os.rename", "os.remove", "os.link")
seen: list[str] = []


def count(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        changes = bool(int(str(flags)) & os.O_CREAT) and str(path).startswith(sys.argv[1])
    else:
        changes = event in STEPS
    if changes:
        place = arguments[1] if event == "os.rename" else arguments[0]
        seen.append(f"{event}:{Path(str(place)).name}")
        if len(seen) == int(sys.argv[2]):
            os._exit(137)


sys.addaudithook(count)
lay(Path(sys.argv[1]) / NAME, contents(), ABOUT, signer=SIGNER, recipients=[sys.argv[3]])
sys.stdout.write("\n".join(seen))
