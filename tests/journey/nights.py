"""Sites and nights of the journeys: real folders, keys and files, made once and copied.

The small night is for runs that are killed: few persons, but each outcome, both file syntaxes, two
insurers that bring the same new person, a file that comes again, and originals whose time is over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from koukan.engine.centre import Centre, open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job
from koukan.formats.load import require_catalogue
from koukan.formats.model import Format
from koukan.samples.expected import ExpectedNight
from koukan.samples.faults import FILE_FAULTS, inject_all
from koukan.samples.laying import EARLIER_DAY, NIGHT_DAY, Night
from koukan.samples.night import lay_earlier_night, lay_night
from koukan.samples.population import Population
from koukan.samples.registration import CHANGE, LOSS, NEW, RE_ENTRY, Frames, joined
from koukan.samples.registration import registration_frames as frames_of
from koukan.samples.scenario import INSURERS, SCENARIO, SampleSender, Scenario, site_toml
from koukan.shipped import formats_folder

TESTS = Path(__file__).resolve().parents[1]
PATHS = (str(TESTS), str(TESTS.parent / "src"))  # for processes of their own
SEED = 20_260_401
REGISTER, REPORT, ERASE = "register_members", "report_errors", "erase_expired"
LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
EARLIER = datetime(2026, 4, 1, 11, 0, tzinfo=UTC)
LATER = EARLIER + timedelta(days=40)  # beyond every retention of that night
NAMES = ("kenpo-a", "kenpo-b", "mihon-shi", "shiken-shi")
SMALL = Scenario(
    insurers=tuple(INSURERS[name][0] for name in NAMES),
    weights=(1.0,) * len(NAMES),
    senders=tuple(
        SCENARIO.sender(name) for name in ("kenpo-a", "kenpo-b", "nhi-aggregation", "city-a")
    ),
)


@dataclass(frozen=True)
class Prepared:
    """A site with files in its inboxes; `key_file` lies outside and serves every copy.

    Beside it lie the keys of persons and insurers, where the site has any.
    """

    root: Path
    key_file: Path
    now: datetime

    @property
    def people(self) -> Path:
        return self.key_file.parent / "people"

    def copy(self, target: Path) -> Path:
        """A copy that shares no inode with the site."""
        shutil.copytree(self.root, target, symlinks=True)
        return target

    def open(self, root: Path | None = None, **more: object) -> Centre:
        now = self.now
        return open_centre(root or self.root, self.key_file, clock=lambda: now, **more)  # type: ignore[arg-type]


def site_text(
    scenario: Scenario = SCENARIO,
    *,
    top: str = "buckets = 4",
    limits: Iterable[str] = (),
    workers: Iterable[str] = (),
) -> str:
    """A site.toml for tests: nobody waits for files to settle."""
    parts = [top, site_toml(scenario), "[limits]", "settle_seconds = 0.0", *limits]
    return "\n".join([*parts, "[workers]", *workers, ""])


def new_site(folder: Path, text: str) -> tuple[Path, Path]:
    """An initialised root and the batch actor's key beside it."""
    root, key_file = folder / "root", folder / "keys" / "batch.key"
    root.mkdir(parents=True, mode=0o700)
    (root / "site.toml").write_text(text, encoding="utf-8")
    initialise(root, key_file)
    return root, key_file


def formats() -> dict[str, Format]:
    return dict(require_catalogue(formats_folder()).formats)


# --- the small night


def small_site(folder: Path) -> Prepared:
    """The site after its earlier night; its inboxes are empty."""
    # Some frames stay in memory and some are sealed; codes come the way that costs least.
    limits = ["stage_bytes = 4000", "pandera_rows = 0"]
    root, key_file = new_site(folder, site_text(SMALL, top="buckets = 2", limits=limits))
    _lay_small_earlier(root)
    site = Prepared(root, key_file, EARLIER)
    centre = site.open()
    run_job(centre, REGISTER)
    centre.close()
    return site


def small_night(folder: Path) -> Prepared:
    """The site after its earlier night, with the small night's files in the inboxes."""
    site = small_site(folder)
    _lay_small(site.root)
    return Prepared(site.root, site.key_file, LATER)


@dataclass(frozen=True)
class Said:
    """What an insurer says of one person, as one person's lines of a file.

    News of a person whom kenpo-a has registered bear the 被保険者枝番 that it was given.
    """

    person: int
    process_type: str = NEW
    new_number_of: int | None = None  # the person of the population whose number it becomes
    number_of: int | None = None  # likewise, in place of the person's own


def lay_said(root: Path, sender: str, sequence: int, said: Sequence[Said]) -> str:
    """Lay a file of a sender with one insurer; its name."""
    night = Night(root, Population(SEED), formats(), NIGHT_DAY, PERSONS)
    numbers = [
        None if item.new_number_of is None else number_of(item.new_number_of) for item in said
    ]
    people = night.population.select(np.array([item.person for item in said], np.int64))
    known = member_ids(root, "kenpo-a", "MR_kenpo-a_000001.csv")
    members = [
        None if item.process_type == NEW else known.get(item.person - FIRST["kenpo-a"] + 1)
        for item in said
    ]
    own = [item.person if item.number_of is None else item.number_of for item in said]
    people = people.with_columns(my_number=night.population.numbers(np.array(own, np.int64)))
    frames = frames_of(
        night.form(_sender(sender)),
        people,
        insurer=SMALL.insurer(_sender(sender).insurers[0]),
        as_of=NIGHT_DAY,
        process_type=pl.Series([item.process_type for item in said]),
        member_ids=pl.Series(members, dtype=pl.String),
        new_my_numbers=pl.Series(numbers, dtype=pl.String),
    )
    name, content = night.rendered(_sender(sender), sequence, frames)
    night.lay(_sender(sender), name, content)
    return name


def number_of(person: int) -> str:
    """A person's 個人番号."""
    return str(Population(SEED).numbers(np.array([person], np.int64)).item())


def _people(first: int, count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.arange(first, first + count, dtype=np.int64)


FIRST = {"kenpo-a": 0, "kenpo-b": 20, "mihon-shi": 40, "shiken-shi": 60}
REGISTERED = 10  # persons of each insurer in the earlier night, from FIRST on
FRESH = 100  # from here on nobody was ever named
SHARED = 200  # new persons whom two insurers bring
STRAY = {"kenpo-a": 300, "kenpo-b": 320, "nhi-aggregation": 340, "city-a": 360}
PERSONS = 400  # nobody from here on is in any file


def _earlier_night(root: Path) -> Night:
    return Night(root, Population(SEED), formats(), EARLIER_DAY, PERSONS)


def _sender(name: str) -> SampleSender:
    return SMALL.sender(name)


def _insurer_of(name: str) -> str:
    return INSURERS[name][0].code


def _plain(night: Night, sender: str, shares: dict[str, np.ndarray]) -> Frames:  # type: ignore[type-arg]
    parts, first = [], 1
    for insurer, persons in shares.items():
        sample = SMALL.insurer(_insurer_of(insurer))
        parts.append(night.frames(_sender(sender), sample, persons, first))
        first += len(persons)
    return joined(parts)


def _earlier_files(night: Night) -> dict[str, tuple[str, bytes]]:
    shares = {
        "kenpo-a": {"kenpo-a": _people(FIRST["kenpo-a"], REGISTERED)},
        "kenpo-b": {"kenpo-b": _people(FIRST["kenpo-b"], REGISTERED)},
        "nhi-aggregation": {
            name: _people(FIRST[name], REGISTERED) for name in ("mihon-shi", "shiken-shi")
        },
    }
    return {
        name: night.rendered(_sender(name), 1, _plain(night, name, share))
        for name, share in shares.items()
    }


def _lay_small_earlier(root: Path) -> None:
    night = _earlier_night(root)
    for name, (file, content) in _earlier_files(night).items():
        night.lay(_sender(name), file, content)
    _spoilt(night, "kenpo-b", 2, "torn", 0)


def _spoilt(night: Night, sender: str, sequence: int, fault: str, more: int) -> None:
    insurer = SMALL.sender(sender).insurers[0]
    persons = _people(STRAY[sender] + more, 3)
    frames = night.frames(_sender(sender), SMALL.insurer(insurer), persons)
    name, content = night.rendered(_sender(sender), sequence, frames)
    night.lay(_sender(sender), *FILE_FAULTS[fault](name, content, night.form(_sender(sender))))


def member_ids(root: Path, sender: str, file: str) -> dict[int, str]:
    """レコード識別番号 -> 被保険者枝番 of the accepted lines of a result file."""
    stem = Path(file).stem
    (path,) = (root / "exchange" / sender / "outbox").glob(f"RR_{stem}_*.csv")
    lines = [line.split(",") for line in path.read_text(encoding="cp932").splitlines()]
    return {int(line[2]): line[4] for line in lines if line[0] == "21" and line[3] == "1"}


def _changes(night: Night) -> Frames:
    """kenpo-a: new persons and news of known ones; one wrong line, one line twice."""
    sender = _sender("kenpo-a")
    known = member_ids(night.root, "kenpo-a", "MR_kenpo-a_000001.csv")
    fresh = np.concatenate([_people(FRESH, 8), _people(SHARED, 2)])
    told = _people(FIRST["kenpo-a"], 4)  # change, change with a new number, loss, re-entry
    new_numbers: list[str | None] = [None] * 14
    new_numbers[11] = night.population.numbers(_people(FRESH + 50, 1)).item()
    members = [None] * 10 + [known[int(person) + 1] for person in told]
    frames = frames_of(
        night.form(sender),
        night.population.select(np.concatenate([fresh, told])),
        insurer=SMALL.insurer(_insurer_of("kenpo-a")),
        as_of=NIGHT_DAY,
        process_type=pl.Series([NEW] * 10 + [CHANGE, CHANGE, LOSS, RE_ENTRY]),
        member_ids=pl.Series(members, dtype=pl.String),
        new_my_numbers=pl.Series(new_numbers, dtype=pl.String),
    )
    return inject_all(frames, {"R102": [0], "D301": [1]})[0]


def _lay_small(root: Path) -> None:
    night = Night(root, Population(SEED), formats(), NIGHT_DAY, PERSONS)

    def lay(sender: str, sequence: int, frames: Frames) -> None:
        night.lay(_sender(sender), *night.rendered(_sender(sender), sequence, frames))

    lay("kenpo-a", 2, _changes(night))
    earlier = _earlier_files(_earlier_night(root))
    night.lay(_sender("kenpo-a"), "MR_kenpo-a_000003.csv", earlier["kenpo-a"][1])  # duplicate
    gap = {"kenpo-a": _people(STRAY["kenpo-a"], 3)}
    lay("kenpo-a", 5, _plain(night, "kenpo-a", gap))
    night.lay(_sender("kenpo-a"), "news.txt", b"no format has this name\r\n")
    night.lay(_sender("kenpo-a"), "MR_kenpo-a_000004.csv.part", b"half of a file")
    shared = np.concatenate([_people(FRESH + 10, 4), _people(SHARED, 1)])
    lay("kenpo-b", 2, _plain(night, "kenpo-b", {"kenpo-b": shared}))
    lay("kenpo-b", 1, _plain(night, "kenpo-b", {"kenpo-b": _people(STRAY["kenpo-b"] + 5, 3)}))
    _spoilt(night, "kenpo-b", 3, "count", 10)
    cities = {
        "mihon-shi": np.concatenate([_people(FRESH + 20, 3), _people(SHARED + 1, 1)]),
        "shiken-shi": _people(FRESH + 30, 3),
    }
    lay("nhi-aggregation", 2, _plain(night, "nhi-aggregation", cities))
    _spoilt(night, "nhi-aggregation", 3, "nuls", 0)
    night.lay(_sender("nhi-aggregation"), *earlier["nhi-aggregation"])  # the same file once more
    lay("city-a", 1, _plain(night, "city-a", {"mihon-shi": _people(STRAY["city-a"], 3)}))


SMALL_OUTCOMES = {  # file -> outcome and code, for all receptions of the small night
    "MR_city-a_000001.csv": ("refused", "F202"),
    "MR_kenpo-a_000002.csv": ("accepted", None),
    "MR_kenpo-a_000003.csv": ("duplicate", "D101"),
    "MR_kenpo-a_000005.csv": ("held", "H101"),
    "news.txt": ("refused", "F101"),
    "MR_kenpo-b_000001.csv": ("held", "H102"),
    "MR_kenpo-b_000002.csv": ("accepted", None),
    "MR_kenpo-b_000003.csv": ("refused", "F114"),
    "MF_nhi-aggregation_000002.dat": ("accepted", None),
    "MF_nhi-aggregation_000003.dat": ("refused", "F107"),
}


# --- the demo's night, small


@dataclass(frozen=True)
class Demo:
    """The demo's site after its earlier night, the night's files in the inboxes; and what is due.

    Args:
        earlier: what the earlier night had to come to, and did or not.
        files: the bytes of all laid files of both nights, by sender and name.
    """

    prepared: Prepared
    earlier: ExpectedNight
    night: ExpectedNight
    files: dict[tuple[str, str], bytes]


NIGHT = datetime(2026, 4, 2, 11, 0, tzinfo=UTC)


def demo_night(folder: Path, lines: int = 3_000, persons: int = 600) -> Demo:
    """Eleven insurers over all nine kinds, and everything that can go wrong."""
    root, key_file = new_site(folder, site_text())
    earlier = lay_earlier_night(root, SEED, persons)
    files = laid_files(root)
    centre = Prepared(root, key_file, EARLIER).open()
    run_job(centre, REGISTER)
    centre.close()
    night = lay_night(root, SEED, lines, persons)
    files |= {key: content for key, content in laid_files(root).items() if key not in files}
    return Demo(Prepared(root, key_file, NIGHT), earlier, night, files)


def inbox_files(root: Path) -> list[Path]:
    return sorted((root / "exchange").glob("*/inbox/*/*"))


def laid_files(root: Path) -> dict[tuple[str, str], bytes]:
    """Bytes of what lies in the inboxes, by sender and name."""
    return {(path.parents[2].name, path.name): path.read_bytes() for path in inbox_files(root)}


def lay_again(source: Path, target: Path) -> int:
    """The inboxes of one site into another's, as if their senders had sent all once more."""
    paths = inbox_files(source)
    for path in paths:
        shutil.copyfile(path, target / path.relative_to(source))
    return len(paths)


# --- reading files with nothing of ours but the names of fields


def records_of(content: bytes, form: Format) -> list[dict[str, str]]:
    """The data lines of a file, field by field."""
    found = []
    for line in content.split(form.file.line_end)[1:-2]:
        if form.file.syntax == "csv":
            parts = line.decode(form.file.encoding).split(",")
            record = form.record(parts[1] if form.direction == "inbound" else parts[0])
        else:
            record = form.record(line[10:12].decode())
            parts = sliced(line, [item.slot for item in form.fields(record)], form.file.encoding)
        names = [item.name for item in form.fields(record)]
        found.append({"section": record.section, **dict(zip(names, parts, strict=True))})
    return found


def sliced(line: bytes, slots: list[int], encoding: str) -> list[str]:
    parts, position = [], 0
    for slot in slots:
        parts.append(line[position : position + slot].decode(encoding).rstrip(" "))
        position += slot
    return parts


def answers_to(root: Path, sender: str, file: str, kind: str = "RR") -> list[Path]:
    """What lies in a sender's outbox for a file of this name, oldest first."""
    return sorted((root / "exchange" / sender / "outbox").glob(f"{kind}_{Path(file).stem}_*.csv"))
