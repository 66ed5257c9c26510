"""The site of the whole night (`acts.py`): the small night's files, and questions.

Questions of two insurers become one request; immediate ones stand beside them; a city may not ask.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from journey import nights
from journey.outside import Keys, with_package_keys

from koukan.engine.initialise import initialise
from koukan.samples.laying import NIGHT_DAY, Night
from koukan.samples.line_faults import inject_lines
from koukan.samples.population import Population
from koukan.samples.questions import BULK, IMMEDIATE, question_frames

CODES = tuple(insurer.code for insurer in nights.SMALL.insurers)
KENPO_A, KENPO_B = CODES[:2]
ASKED = 7 + 5 + 3  # questions that are left when bad lines are rejected


def whole_night(folder: Path) -> nights.Prepared:
    """The small night with questions in the inboxes, in a site with keys and a partner."""
    site = nights.small_night(folder)
    keys = Keys(site.people)
    more = keys.make(CODES)
    path = site.root / "site.toml"
    text = with_package_keys(path.read_text(encoding="utf-8"), keys, CODES)
    head, limits, rest = text.partition("[limits]")
    path.write_text(f"{head}{more}\n{limits}{rest}", encoding="utf-8")
    initialise(site.root, site.key_file)
    lay_questions(site.root)
    return site


def lay_questions(root: Path) -> None:
    """Questions of kenpo-a and kenpo-b about persons 500 and on; one line of them is wrong."""
    night = Night(root, Population(nights.SEED), nights.formats(), NIGHT_DAY, nights.PERSONS)
    lay_file(night, "kenpo-a", "my_number_query", range(500, 508), faults={"R221": [3]})
    lay_file(night, "kenpo-b", "my_number_query", range(520, 525))
    lay_file(night, "kenpo-b", "basic_four_query", range(540, 543), mode=IMMEDIATE)
    lay_file(night, "city-a", "my_number_query", range(560, 562))


def lay_file(
    night: Night,
    sender: str,
    form: str,
    asked: range,
    *,
    faults: dict[str, list[int]] | None = None,
    mode: str = BULK,
    sequence: int = 1,
) -> str:
    """One file of questions about persons, of a sender with one insurer; its name."""
    asking = replace(nights.SMALL.sender(sender), format=form, doors=("dedicated_terminal",))
    insurer = nights.SMALL.insurer(asking.insurers[0])
    persons = np.array(asked, np.int64)
    definition = night.formats[form]
    frames = question_frames(definition, night.population, persons, insurer=insurer)
    if faults:
        frames = inject_lines(definition, frames, faults)[0]
    name, content = night.rendered(asking, sequence, frames, control={"query_mode": mode})
    night.lay(asking, name, content)
    return name
