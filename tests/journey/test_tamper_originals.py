"""Sealed originals, results and their keys that somebody has altered do not open."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from journey import nights
from journey.tampering import (
    Base,
    altered,
    flipped,
    next_file,
    require_night,
    require_refused,
    require_sound,
)

from koukan.errors import SealBroken


def originals_of(base: Base, root: Path) -> dict[str, Path]:
    """File name -> sealed original of the night's receptions."""
    centre = base.site.open(root)
    found = {
        item.file_name: root / "originals" / f"{item.original}.sealed"
        for item in centre.ledger.receptions(state="picked_up")
    }
    centre.close()
    return found


def test_an_altered_original_does_not_open(base: Base, picked_up: Path) -> None:
    path = originals_of(base, picked_up)["MR_kenpo-a_000002.csv"]
    content = path.read_bytes()
    draw = random.Random(20_260_404)
    contents: list[bytes | None] = [None, b"", content[:-1], content + b"\0", content[:48]]
    places = [0, 7, 8, 39, 40, len(content) - 1, *(draw.randrange(len(content)) for _ in range(8))]
    contents += [flipped(content, place, draw.randrange(8)) for place in places]
    for other in contents:
        with altered([path], [other]):
            require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_originals_that_have_changed_places_do_not_open(base: Base, picked_up: Path) -> None:
    found = originals_of(base, picked_up)
    first, second = found["MR_kenpo-a_000002.csv"], found["MR_kenpo-b_000002.csv"]
    with altered([first, second], [second.read_bytes(), first.read_bytes()]):
        require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_an_altered_key_of_an_original_does_not_open_it(base: Base, picked_up: Path) -> None:
    found = originals_of(base, picked_up)
    keys = picked_up / "keyring" / "random" / "original"
    first, second = (
        keys / f"{found[name].name.removesuffix('.sealed')}.key"
        for name in ("MR_kenpo-a_000002.csv", "MR_kenpo-b_000002.csv")
    )
    for content in (flipped(first.read_bytes(), 5), second.read_bytes(), os.urandom(40)):
        with altered([first], [content]):
            require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_an_altered_result_is_not_laid_out_again(
    base: Base, root: Path, small: nights.Prepared
) -> None:
    """The same file comes once more, so that its old answer is asked for."""
    centre = base.site.open(root)
    (item,) = [
        item for item in centre.ledger.receptions() if item.file_name == "MR_kenpo-a_000002.csv"
    ]
    centre.close()
    for path in nights.inbox_files(root):
        path.unlink()
    (answer,) = nights.answers_to(root, "kenpo-a", item.file_name)
    before = answer.read_bytes()
    result = root / "results" / f"{item.original}.sealed"
    again = small.root / "exchange" / "kenpo-a" / "inbox" / item.door / item.file_name
    shutil.copyfile(again, root / again.relative_to(small.root))
    with altered([result], [flipped(result.read_bytes(), 60)]):
        require_refused(base, root, "run", SealBroken)
        assert answer.read_bytes() == before
    next_file(root)
    require_sound(base, root)
