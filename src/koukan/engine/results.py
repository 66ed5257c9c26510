"""Sealed result files, read block by block as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from koukan.codecs.gate import whole_lines
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.seen import Seen
from koukan.errors import IntegrityError
from koukan.flows.results import line_result
from koukan.formats.model import Format
from koukan.ledger import Reception

BLOCK = 2 * 1024 * 1024


def told_of(
    centre: Centre, reception: Reception, read: Callable[[Format, bytes], pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """What a reception's sealed result tells of its lines, as `read` has it of whole lines.

    Raises IntegrityError behind the last one when the result is another.
    """
    form = centre.catalogue.formats[line_result(reception.format) or ""]
    with originals.read_result(centre, reception.original) as result:
        seen = Seen(result.blocks(BLOCK))
        for piece in whole_lines(seen, form.file.max_line_bytes):
            yield read(form, piece)
    if seen.sha256 != reception.result_sha256:
        raise IntegrityError("engine.result_other", reception=reception.number)
