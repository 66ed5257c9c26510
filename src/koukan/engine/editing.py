"""Answers as the lines of their insurers' result files, several files at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from koukan.codecs import render
from koukan.engine.centre import Centre
from koukan.flows import identity
from koukan.formats.model import Format
from koukan.rules.edit import result_lines

SECTION = "result"


def rendered(
    centre: Centre, form: Format, answered: Sequence[pl.DataFrame]
) -> Iterator[memoryview]:
    """The lines of several result files, rendered at once: each costs as much as one."""
    lines = edited(centre.catalogue.formats[identity.ANSWER], form, pl.concat(answered))
    content = render.records(form, SECTION, lines)
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == 10) + 1
    bounds = accumulate((frame.height for frame in answered), initial=0)
    places = [0, *ends.tolist()]
    view = memoryview(content)
    return (view[places[start] : places[stop]] for start, stop in pairwise(bounds))


def edited(answer: Format, form: Format, answered: pl.DataFrame) -> pl.DataFrame:
    """As the insurer's layout wants it; what came in its own encoding can be written in it."""
    same = answer.file.encoding == form.file.encoding
    lengths = {item.name: item.length for item in form.fields(form.section(SECTION))}
    return result_lines(
        answered,
        encoding=None if same else form.file.encoding,
        detail_length=lengths.get("address_detail", 0),
    )
