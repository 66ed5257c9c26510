"""Lays, checks and opens a large package: `large_package.py FOLDER MEBIBYTES`. Prints its VmHWM."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import package_support

from koukan.engine.packages import Content, lay, open_package

folder = Path(sys.argv[1])
mebibytes = int(sys.argv[2])
block = bytes(range(256)) * 4096


def blocks() -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield block


digest = hashlib.sha256()
for one in blocks():
    digest.update(one)
target = folder / f"PK_{mebibytes}.age"
whole = Content("QR_1.csv", mebibytes << 20, digest.hexdigest(), blocks)
keys = package_support.new_pair("age")
made = lay(
    target,
    [whole],
    package_support.ABOUT,
    signer=package_support.SIGNER,
    recipients=[keys.public],
)
identity, signer = keys.identity(folder), package_support.SIGNER.ssh
for into in (None, folder / f"out{mebibytes}"):
    assert open_package(target, identity, signer, into).archive_sha256 == made.archive_sha256
status = Path("/proc/self/status").read_text("ascii").splitlines()
sys.stdout.write(
    next(line for line in status if line.startswith("VmHWM")).replace("\t", " ") + "\n"
)
