"""Lines that are compared are found again, few of them without opening the rest."""

from __future__ import annotations

import random

from centres import Place, lay

from koukan.engine.groups import cut, receptions_of, stage_of
from koukan.engine.repetitions import FEW, Digest, digest, lines_asked
from koukan.engine.steps.validate import STRETCH, check, content_of

PERSONS = 3_000  # three lines each


def test_asked_lines_are_those_of_the_file_however_few_they_are(empty: Place) -> None:
    lay(empty, "kenpo-a", 1, persons=PERSONS)
    empty.run()
    with empty.opened() as centre:
        group = centre.ledger.group(1)
        (chunk,) = cut(group, receptions_of(centre, group))
        stage_of(centre, group.number, group.attempt).create()
        check(centre, chunk)
        lines = content_of(centre, chunk).splitlines(keepends=True)
        last = len(lines) - 1
        assert chunk.rows == len(lines) >= 2 * STRETCH * FEW
        many = sorted(random.Random(1).sample(range(last), 200))
        for rows in ([0], [STRETCH - 1, STRETCH], [last], [7, last - 1, last], many):
            item = Digest(chunk, tuple(rows), skip=11)
            assert lines_asked(centre, item).to_list() == [lines[row] for row in rows]
            one, other = digest(centre, item)
            assert len({*one.tolist()}) == len({*other.tolist()}) == len(rows)
