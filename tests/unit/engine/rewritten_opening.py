"""Opens a package that somebody rewrites: `rewritten_opening.py PACKAGE OTHER KEY`.

The other's bytes are written over it, in its place, when its signature is opened: after it was
read for the first time. Prints what was done and the key of the error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import package_support

from koukan.engine.packages import open_package
from koukan.errors import KoukanError
from koukan.keys.package import load_package_identity

package, other, key = map(Path, sys.argv[1:])
body = other.read_bytes()


def rewrite(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]) == f"{package}.sig":
        handle = os.open(package, os.O_WRONLY | os.O_TRUNC)
        os.write(handle, body)
        os.close(handle)
        sys.stdout.write("rewritten\n")


identity = load_package_identity(key)
sys.addaudithook(rewrite)
try:
    open_package(package, identity, package_support.SIGNER.ssh, package.parent / "out")
except KoukanError as error:
    sys.stdout.write(f"{error.key}\n")
