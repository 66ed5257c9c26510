"""Opens packages as an insurer without koukan does: OpenSSH, age, and a reader of tar archives.

Imports nothing of koukan: what it finds is somebody else's word.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Read(NamedTuple):
    """What was in a package."""

    insurer: str
    reception: int
    archive_sha256: str
    counts: Mapping[str, int]
    lines: int  # of the one file, without control and end record
    content: bytes


def read(package: Path, key: Path, signers: Path) -> Read:
    """One package, every signature, hash and count of it checked.

    Args:
        key: the insurer's private key, as age takes it.
        signers: a file with the centre's public key, as `ssh-keygen -Y verify -f` takes it.
    """
    sealed = package.read_bytes()
    verified(sealed, package.with_name(f"{package.name}.sig"), signers)
    opened = subprocess.run(
        ["age", "-d", "-i", str(key), str(package)], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(opened.stdout)) as archive:
        members = archive.getmembers()
        assert [member.name for member in members[:2]] == ["manifest.json", "manifest.json.sig"]
        files: dict[str, bytes] = {}
        for member in members:
            assert member.isreg()
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            taken = archive.extractfile(member)
            assert taken is not None
            files[member.name] = taken.read()
    manifest = files.pop("manifest.json")
    beside = key.parent / "manifest.json.sig"
    beside.write_bytes(files.pop("manifest.json.sig"))
    verified(manifest, beside, signers)
    said: dict[str, Any] = json.loads(manifest)
    assert f"{said['package']}.age" == package.name
    told = {item["name"]: (item["length"], item["sha256"]) for item in said["files"]}
    assert told == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }
    (content,) = files.values()
    return Read(
        said["insurer"],
        said["reception"],
        hashlib.sha256(opened.stdout).hexdigest(),
        said["counts"],
        content.count(b"\r\n") - 2,
        content,
    )


def verified(content: bytes, signature: Path, signers: Path) -> None:
    """Raises where ssh-keygen says that it is not the centre's signature over the content."""
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "koukan"]
    command += ["-n", "koukan-package", "-s", str(signature)]
    subprocess.run(command, input=content, check=True, capture_output=True)
