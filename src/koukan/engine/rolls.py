"""Rolls of pushes: of whom each told, in the order of its レコード識別番号, and what was answered.

What a push held is gone once it is laid out. Its roll stays until a later push of everybody is
answered: 紐付番号 and digests, no item. By it an answer finds its persons, whoever was refused is
told again, and `koukan online reconcile` replays what the receiver must hold.

    pushes/r<sequence>/<piece>-<buckets>    紐付番号 and digests of one piece, from and to; `_`: any
    pushes/r<sequence>/answers-<reception>  what was answered up to that reception, by person
    pushes/q<sequence>                      紐付番号 to be told again by a push after that one
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from koukan import durable
from koukan.engine.centre import Centre
from koukan.engine.leftovers import UNFINISHED, remove_unfinished
from koukan.keys.sealed import SealedReader, seal, unseal
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.rules.register import Ints
from koukan.rules.responses import UNANSWERED, Results, refused

Digests = npt.NDArray[np.uint64]
ANY = "_"  # persons whose events may lie in any bucket
ANSWERS = "answers"
ENTRY = 16  # bytes of a person: 紐付番号 and digest


def label(sequence: int) -> str:
    return f"r{sequence:06d}"


def _folder(centre: Centre, sequence: int) -> Path:
    return centre.folder("pushes", label(sequence))


def start(centre: Centre, sequence: int) -> None:
    """An empty roll with a key."""
    discard(centre, sequence)
    _folder(centre, sequence).mkdir(mode=0o700)
    durable.sync_folder(centre.folder("pushes"))
    centre.keyring.random_key("push", label(sequence))


def put(centre: Centre, sequence: int, name: str, links: Ints, digests: Digests) -> None:
    """Seal one piece's share of the roll."""
    content = np.ascontiguousarray(links, np.int64).tobytes() + digests.tobytes()
    _seal(centre, sequence, name, content)


def _seal(centre: Centre, sequence: int, name: str, content: bytes) -> None:
    key = centre.keyring.existing_key("push", label(sequence))
    path = _folder(centre, sequence) / name
    seal(path, content, key, f"roll|{label(sequence)}|{name}", replace=True)


def _reader(centre: Centre, sequence: int, name: str) -> SealedReader:
    key = centre.keyring.existing_key("push", label(sequence))
    return SealedReader(_folder(centre, sequence) / name, key, f"roll|{label(sequence)}|{name}")


def holds(centre: Centre, sequence: int) -> bool:
    """Whether the roll is kept still."""
    return _folder(centre, sequence).is_dir()


def names(centre: Centre, sequence: int) -> list[str]:
    """Pieces in order."""
    found = (path.name for path in _folder(centre, sequence).iterdir())
    return sorted(name for name in found if name[0].isdigit())


def piece(centre: Centre, sequence: int, name: str) -> tuple[Ints, Digests]:
    """紐付番号 and digests of a piece, in order."""
    with _reader(centre, sequence, name) as file:
        content = file.read(0, file.length)
    half = len(content) // 2
    return np.frombuffer(content[:half], np.int64), np.frombuffer(content[half:], np.uint64)


def places(centre: Centre, sequence: int) -> Iterator[tuple[str, int]]:
    """Pieces in order, and where the first person of each stands in the push, from 0."""
    first = 0
    for name in names(centre, sequence):
        yield name, first
        with _reader(centre, sequence, name) as file:
            first += file.length // ENTRY


def tells(name: str, low: int, high: int) -> bool:
    """Whether a piece may tell of buckets, from and to."""
    _, _, where = name.partition("-")
    if where == ANY:
        return True
    begin, end = (int(one) for one in where.split("-"))
    return begin < high and max(end, begin + 1) > low


def _links(centre: Centre, sequence: int) -> Iterator[Ints]:
    for name in names(centre, sequence):
        yield piece(centre, sequence, name)[0]


# --- answers


def answers(centre: Centre, push: Push, start: int = 0, stop: int | None = None) -> Results:
    """By person of a push, or of some in a row, what was answered so far."""
    stop = push.persons if stop is None else stop
    if not push.answer:
        return np.full(stop - start, UNANSWERED, np.int16)
    name = f"{ANSWERS}-{push.answer:010d}"
    with _reader(centre, push.sequence, name) as file:
        return np.frombuffer(file.read(2 * start, 2 * stop), np.int16)


def put_answers(centre: Centre, push: Push, reception: int, results: Results) -> None:
    """Seal what was answered; it counts once the ledger names the reception."""
    _seal(centre, push.sequence, f"{ANSWERS}-{reception:010d}", results.tobytes())


def open_refusals(centre: Centre, push: Push, results: Results) -> tuple[Ints, Results]:
    """Whom the receiver refused and no later push has told of, and by which codes."""
    who = np.flatnonzero(refused(results))
    codes = results[who]
    if not len(who) or not holds(centre, push.sequence):
        return np.zeros(0, np.int64), codes[:0]
    links = np.concatenate([np.zeros(0, np.int64), *_links(centre, push.sequence)])[who]
    told = np.zeros(len(links), np.bool_)
    for later in pushes.all_pushes(centre.ledger):
        if later.sequence <= push.sequence or later.state == pushes.UNDER_WAY:
            continue
        if later.kind == "full":
            return links[:0], codes[:0]  # whoever is not in it is nobody's any more
        for found in _links(centre, later.sequence):
            told |= np.isin(links, found)
    return links[~told], codes[~told]


# --- who is to be told again


def queue(centre: Centre, links: Ints) -> None:
    """Leave these 紐付番号 for the next push."""
    newest = max((one.sequence for one in pushes.all_pushes(centre.ledger)), default=0)
    name = f"q{newest:06d}"
    path = centre.folder("pushes", name)
    if path.exists():
        links = np.union1d(links, queued(centre, path))
    key = centre.keyring.random_key("push", name)
    content = np.ascontiguousarray(links, np.int64).tobytes()
    seal(path, content, key, f"again|{name}", replace=True)


def queue_files(centre: Centre) -> list[Path]:
    return sorted(centre.folder("pushes").glob("q*"))


def queued(centre: Centre, path: Path) -> Ints:
    key = centre.keyring.existing_key("push", path.name)
    return np.frombuffer(unseal(path, key, f"again|{path.name}"), np.int64)


# --- what is over


def discard(centre: Centre, sequence: int) -> None:
    """Key, then roll; once more changes nothing."""
    centre.keyring.destroy("push", label(sequence))
    if holds(centre, sequence):
        shutil.rmtree(_folder(centre, sequence))
        durable.sync_folder(centre.folder("pushes"))


def tidy(centre: Centre) -> None:
    """Destroy rolls before the last answered push of everybody, older answers, and what was queued
    for a push that is laid out."""
    known = pushes.all_pushes(centre.ledger)
    whole = [one.sequence for one in known if one.kind == "full" and one.answered]
    first = max(whole, default=0)
    by_number = {one.sequence: one for one in known}
    kept = {label(number) for number in by_number if number >= first}
    there = {path.name for path in centre.folder("pushes").glob("r*")}
    there |= {path.stem for path in centre.folder("keyring", "random", "push").glob("r*.key")}
    for name in sorted(there - kept):
        discard(centre, int(name[1:]))
    for name in sorted(there & kept):
        push = by_number[int(name[1:])]
        remove_unfinished(centre.folder("pushes", name).glob(UNFINISHED))
        for path in sorted(centre.folder("pushes", name).glob(f"{ANSWERS}-*")):
            if path.name != f"{ANSWERS}-{push.answer:010d}":
                durable.unlink(path)
    laid = max((one.sequence for one in known if one.state != pushes.UNDER_WAY), default=0)
    left = {path.name for path in queue_files(centre)}
    left |= {path.stem for path in centre.folder("keyring", "random", "push").glob("q*.key")}
    for name in sorted(left):
        if int(name[1:]) < laid:
            centre.keyring.destroy("push", name)
            durable.unlink(centre.folder("pushes", name))
