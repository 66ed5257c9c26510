"""What has passed: the hash and the length of a stream of blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator


class Seen:
    """Blocks that pass through; hash and length are those of what has passed so far."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.length = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._digest.update(block)
            self.length += len(block)
            yield block

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
