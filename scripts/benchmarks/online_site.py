"""Make what `online.py` measures on: a site with a large 資格履歴, pushed up to a night.

  online_site.py FOLDER --persons N --seed S

Group 1 brought everybody, one line of each of three record types; group 2 tells a hundredth of them
anew, with another address. The ledger says that a push told all of group 1, so that the next one
tells of group 2. The same rows lie beside the site as plain Parquet, one file for each section,
and the 紐付番号 of group 2 as `keys.parquet`, for the floor. Started as a process of its own.
Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import history_site
import measuring
import numpy as np
import polars as pl
from history_site import INSURER, INSURERS, SITE, Lives

from koukan.engine.centre import Centre, held_version, open_centre, version_of
from koukan.engine.initialise import initialise
from koukan.engine.rewriting import row_of
from koukan.engine.steps.commit import file_name
from koukan.flows import online
from koukan.flows.registration import FORMAT, HISTORY
from koukan.keys.identity import create_identity, load_identity
from koukan.ledger import Ledger
from koukan.ledger import online as pushes
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Draws
from koukan.samples.population import Population, text, wide
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile

SECTIONS = ("basic", "qualification", "certificate")
CHANGED = 100  # of so many persons one is told anew
PARTNER = """
[[sender]]
name = "oqs"
title = "オンライン資格確認等システム"
doors = ["oqs"]
system = "oqs"
package_key = "{key}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--persons", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    os.umask(0o077)
    measuring.say(make(given.folder, given.persons, given.seed))


def make(folder: Path, persons: int, seed: int) -> dict[str, object]:
    """The whole of it."""
    root, key = folder / "site", folder / "keys" / "batch.key"
    root.mkdir(mode=0o700, parents=True)
    codes = text(complete("insurer_number", 699_000 + np.arange(INSURERS, dtype=np.int64)), 8)
    key.parent.mkdir(mode=0o700)
    create_identity(folder / "keys" / "oqs.key")
    public = load_identity(folder / "keys" / "oqs.key", outside=root).recipient
    buckets = 64 if persons >= 100_000 else 2
    head = SITE.format(buckets=buckets, codes=json.dumps(codes.to_list()))
    whole = head + PARTNER.format(key=public) + "".join(INSURER.format(code=one) for one in codes)
    (root / "site.toml").write_text(whole, encoding="utf-8")
    initialise(root, key)
    centre = open_centre(root, key)
    lives = list(everybody(centre, persons, seed))
    plain = folder / "plain"
    plain.mkdir()
    told = [commit(centre, night, codes, lives, plain) for night in (1, 2)]
    for section in SECTIONS:  # as one file each, in the order of the history
        parts = pl.scan_parquet(plain / "parts" / f"{section}-*.parquet")
        parts.sink_parquet(plain / f"{section}.parquet", compression="zstd", compression_level=1)
    for path in (plain / "parts").iterdir():
        path.unlink()
    keys = np.sort(np.concatenate([one.links[changed(one)] for one in lives]))
    pl.DataFrame({"link_number": keys}).write_parquet(plain / "keys.parquet")
    push = pushes.begin(centre.ledger, "full", (0, 1), partner="oqs", day="20260401")
    with centre.ledger.begin() as transaction:
        laid = {"state": "accepted", "laid_at": centre.now(), "answered_at": centre.now()}
        pushes.change(transaction, push.sequence, **laid)
    files = centre.snapshot(HISTORY).files()
    found = {
        "persons": persons,
        "changed": len(keys),
        "rows": told,
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "sections": columns(centre),
    }
    centre.close()
    return found


def columns(centre: Centre) -> dict[str, list[str]]:
    """The columns that are pushed, by section."""
    form = centre.catalogue.formats[online.EXPORT]
    return {name: ["link_number", *online.items(form, name)] for name in SECTIONS}


def everybody(centre: Centre, persons: int, seed: int) -> Iterator[Lives]:
    """All persons by bucket."""
    links = centre.link_issuer.issue(np.arange(persons, dtype=np.int64))
    places = bucket_of_link(links, centre.site.buckets).astype(np.uint16)
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(centre.site.buckets + 1)).tolist()
    for start, stop in pairwise(bounds):
        mine = order[start:stop]
        yield Lives(Draws(seed), mine, links[mine])


def changed(lives: Lives) -> np.ndarray:
    return lives.draws.below("changed", lives.persons, CHANGED) == 0


def commit(centre: Centre, night: int, codes: pl.Series, lives: list[Lives], plain: Path) -> int:
    """One night's group, its data files, its commit, and the same rows in plain; how many."""
    number = centre.ledger.add_reception(history_site.reception(centre, night))
    group = centre.ledger.form_group(FORMAT, [centre.ledger.reception(number)], centre.now())
    (plain / "parts").mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        task = partial(write, centre, (night, group), codes, plain)
        files = [one for part in pool.map(task, enumerate(lives)) for one in part]
    held = centre.ledger.table_versions()[HISTORY]
    version = centre.tables[HISTORY].commit(files, [], transaction=group, expected=version_of(held))
    with centre.ledger.begin() as transaction:
        named = [row_of(HISTORY, file) for file in files]
        Ledger.put_group_files(transaction, group, named)
        Ledger.put_table_version(transaction, held_version(HISTORY, version))
        Ledger.set_group(transaction, group, "committed")
    return sum(file.rows for file in files)


def write(
    centre: Centre, at: tuple[int, int], codes: pl.Series, plain: Path, item: tuple[int, Lives]
) -> list[DataFile]:
    """A bucket's data files, and the same rows in plain."""
    (night, group), (bucket, lives) = at, item
    if night == 2:
        mine = changed(lives)
        lives = lives._replace(persons=lives.persons[mine], links=lives.links[mine])
    files = []
    for section, frame in events(centre, lives, codes, night, group):
        where = {"bucket": bucket_label(bucket, centre.site.buckets), "section": section}
        files.append(centre.tables[HISTORY].write(where, frame, file_name(group, 1, 1)))
        frame.write_parquet(plain / "parts" / f"{section}-{bucket:03d}-{night}.parquet")
    return files


def events(
    centre: Centre, lives: Lives, codes: pl.Series, night: int, group: int
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each section's lines of these persons, whole."""
    persons = lives.persons
    known = Population(lives.draws._seed).select(persons)
    insurer = codes.gather(lives.draws.below("insurer", persons, INSURERS))
    begin = pl.Series((history_site.FIRST + persons % 7000).astype(np.int32)).cast(pl.Date)
    household = persons // 3
    event = pl.DataFrame({"link_number": lives.links}).select(
        "link_number",
        member_id=pl.Series(centre.member_issuer.issue(persons)),
        process_type_code=pl.lit("1" if night == 1 else "3"),
        access_group_code=pl.lit("A0000001"),
        reception=pl.lit(night, pl.Int64),
        group_number=pl.lit(group, pl.Int64),
        insurer_code=insurer,
    )
    certificate = {
        "insurer_number": insurer,
        "insured_symbol": "架空" + wide(household // 10**8 + 1),
        "insured_number": wide(household // 10_000 % 10_000, 4) + wide(household % 10_000, 4),
        "insured_branch_number": text(persons % 3 + 1, 2),
    }
    own = {
        "basic": {
            **known.select("name", "name_kana", "other_name", "other_name_kana").to_dict(),
            "sex_1": known["sex"],
            "birth_date": known["birth_date"],
            "address": known["address"] + ("" if night == 1 else "転居先"),
            "post_number": known["post_number"],
        },
        "qualification": {
            **certificate,
            "qualification_date": begin,
            "personal_family_type": pl.Series(["1", "2"]).gather((persons % 3 > 0).astype(int)),
            "insured_name": known["head_name"],
        },
        "certificate": {
            **certificate,
            "certificate_class": pl.repeat("01", len(persons), eager=True),
            "issue_date": begin,
            "valid_from_date": begin,
            "contribution_ratio": pl.repeat("030", len(persons), eager=True),
        },
    }
    types = centre.tables[HISTORY].definition.sections
    for place, (section, items) in enumerate(own.items()):
        lines = event.with_columns(**items, line_number=pl.Series(3 * persons + 2 + place))
        given = set(lines.columns)
        whole = [
            pl.col(name).cast(kind) if name in given else pl.lit(None, kind).alias(name)
            for name, kind in types[section].items()
        ]
        yield section, lines.select(whole)


if __name__ == "__main__":
    main()
