"""Sealed files of 本人確認: questions, shares of answers, requests, what is in a package.

Whatever must vanish at a moment has a random key of its own. The key of a file of questions belongs
to one *generation* of it: when a package takes up what was answered, the questions that are still
open are sealed again under the next generation's key, and the old one is destroyed.

    questions/q<reception>-<generation>            the questions that are open
    questions/q<reception>-<generation>.a<answer>  what one answer file had for them
    questions/q<reception>-<generation>.withheld   answers that wait for a person
    requests/r<number>/<piece>                     a merged request, piece by piece
    requests/c<number>/<piece>                     one for 機関別符号 likewise
    packages/p<reception>-<ordinal>                the result file that a package is made of
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine.centre import Centre
from koukan.engine.stages import packed, unpacked
from koukan.keys.sealed import SealedReader, SealedWriter, seal, unseal

BLOCK = 2 * 1024 * 1024


def questions_name(reception: int, generation: int) -> str:
    return f"q{reception:010d}-{generation:04d}"


def request_name(number: int) -> str:
    return f"r{number:010d}"


def code_request_name(number: int) -> str:
    return f"c{number:010d}"


def package_name(reception: int, ordinal: int) -> str:
    return f"p{reception:010d}-{ordinal:04d}"


class Generation(NamedTuple):
    """What is left of a generation of a file of questions."""

    name: str
    files: tuple[Path, ...]

    @property
    def reception(self) -> int:
        return int(self.name[1:].partition("-")[0])

    @property
    def number(self) -> int:
        return int(self.name.rpartition("-")[2])


# --- questions and the shares of answers to them


def seal_questions(centre: Centre, reception: int, generation: int, frame: pl.DataFrame) -> None:
    """Write a generation's open questions durably, under its own key."""
    name = questions_name(reception, generation)
    key = centre.keyring.random_key("question", name)
    path = centre.folder("questions", name)
    seal(path, packed(frame), key, f"questions|{name}", replace=True)


def open_questions(centre: Centre, reception: int, generation: int) -> pl.DataFrame:
    name = questions_name(reception, generation)
    key = centre.keyring.existing_key("question", name)
    return unpacked(unseal(centre.folder("questions", name), key, f"questions|{name}"))


def seal_share(
    centre: Centre, reception: int, generation: int, answer: int, frame: pl.DataFrame
) -> None:
    """Write durably what an answer file had for a file of questions, under the questions' key."""
    name = questions_name(reception, generation)
    key = centre.keyring.existing_key("question", name)
    path = centre.folder("questions", f"{name}.a{answer:010d}")
    seal(path, packed(frame), key, f"share|{name}|{answer}", replace=True)


def open_share(centre: Centre, reception: int, generation: int, answer: int) -> pl.DataFrame:
    name = questions_name(reception, generation)
    key = centre.keyring.existing_key("question", name)
    path = centre.folder("questions", f"{name}.a{answer:010d}")
    return unpacked(unseal(path, key, f"share|{name}|{answer}"))


def seal_withheld(centre: Centre, reception: int, generation: int, frame: pl.DataFrame) -> None:
    """Write durably which answers to a file are withheld, under its generation's key."""
    name = questions_name(reception, generation)
    key = centre.keyring.random_key("question", name)  # no question need be open beside them
    path = centre.folder("questions", f"{name}.withheld")
    seal(path, packed(frame), key, f"withheld|{name}", replace=True)


def open_withheld(centre: Centre, reception: int, generation: int) -> pl.DataFrame:
    name = questions_name(reception, generation)
    key = centre.keyring.existing_key("question", name)
    path = centre.folder("questions", f"{name}.withheld")
    return unpacked(unseal(path, key, f"withheld|{name}"))


def generations(centre: Centre) -> list[Generation]:
    """Everything of which a file or a key is left."""
    files: dict[str, list[Path]] = {}
    for path in sorted(centre.folder("questions").glob("q*")):
        files.setdefault(path.name.partition(".")[0], []).append(path)
    keys = centre.folder("keyring", "random", "question").glob("q*")  # none without that folder
    names = sorted(files.keys() | {path.name.partition(".")[0] for path in keys})
    return [Generation(name, tuple(files.get(name, ()))) for name in names]


def destroy_generations(centre: Centre, found: Sequence[Generation]) -> None:
    """Their keys, then their files; once more changes nothing."""
    for item in found:
        centre.keyring.destroy("question", item.name)
        centre.observe("generation's key destroyed", step="package")
    durable.remove(path for item in found for path in item.files)


# --- requests


def seal_piece(centre: Centre, name: str, piece: int, content: bytes) -> None:
    """Write a piece of a request durably."""
    key = centre.keyring.existing_key("request", name)
    path = centre.folder("requests", name, f"{piece:05d}")
    seal(path, content, key, f"request|{name}|{piece}", replace=True)


def start_request(centre: Centre, name: str) -> None:
    """An empty folder and a key; what a killed run had begun under the name goes."""
    folder = centre.folder("requests", name)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    durable.sync_folder(folder.parent)
    centre.keyring.random_key("request", name)


def request_blocks(centre: Centre, name: str) -> Iterator[bytes]:
    """The request as it goes to the partner, block by block."""
    key = centre.keyring.existing_key("request", name)
    for path in sorted(centre.folder("requests", name).iterdir()):
        with SealedReader(path, key, f"request|{name}|{int(path.name)}") as piece:
            yield from piece.blocks(BLOCK)


def destroy_request(centre: Centre, name: str) -> None:
    """Key, then files; once more changes nothing."""
    centre.keyring.destroy("request", name)
    folder = centre.folder("requests", name)
    if folder.exists():
        shutil.rmtree(folder)
        durable.sync_folder(folder.parent)


# --- packages


def seal_result(
    centre: Centre, reception: int, ordinal: int, blocks: Iterable[bytes | memoryview]
) -> None:
    """Write the result file that a package is made of durably, under the package's own key."""
    name = package_name(reception, ordinal)
    key = centre.keyring.random_key("package", name)
    path = centre.folder("packages", name)
    with SealedWriter(path, key, f"package|{name}", replace=True) as file:
        for block in blocks:
            file.write(block)


def result_blocks(centre: Centre, reception: int, ordinal: int) -> Iterator[bytes]:
    name = package_name(reception, ordinal)
    key = centre.keyring.existing_key("package", name)
    with SealedReader(centre.folder("packages", name), key, f"package|{name}") as file:
        yield from file.blocks(BLOCK)


def results(centre: Centre) -> list[tuple[int, int]]:
    """Reception and ordinal of every result of which a file or a key is left."""
    names = {path.name for path in centre.folder("packages").glob("p*")}
    names |= {path.stem for path in centre.folder("keyring", "random", "package").glob("p*.key")}
    parts = [name[1:].split("-") for name in sorted(names)]
    return [(int(reception), int(ordinal)) for reception, ordinal in parts]


def destroy_result(centre: Centre, reception: int, ordinal: int) -> None:
    """Key, then file; once more changes nothing."""
    name = package_name(reception, ordinal)
    centre.keyring.destroy("package", name)
    durable.unlink(centre.folder("packages", name))
