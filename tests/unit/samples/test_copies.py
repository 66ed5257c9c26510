"""Samples of copies (副本): no two of one key, and of members that exist where they are given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from koukan.formats import bundle
from koukan.formats.model import Catalogue, Format
from koukan.rules.copies import KEY
from koukan.rules.validate import BAD, validators
from koukan.samples.copies import copy_frames, copy_query_frames
from koukan.samples.scenario import SCENARIO

INSURER = SCENARIO.insurers[1]
LINES = 4_000


@pytest.fixture(scope="module")
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats["copy_registration"]


def frame(form: Format, seed: int = 1, members: tuple[str, ...] = ()) -> pl.DataFrame:
    numbers = np.arange(LINES, dtype=np.int64)
    return copy_frames(form, seed, numbers, insurer=INSURER, members=members)["copy"]


@pytest.mark.parametrize("members", [(), tuple(f"{7 * one:010d}" for one in range(300))])
def test_every_line_is_right_and_of_a_copy_of_its_own(
    catalogue: Catalogue, form: Format, members: tuple[str, ...]
) -> None:
    found = frame(form, members=members)
    (check,) = validators(bundle(catalogue, form.name)).values()
    assert not check.check(found, suspicious=None).columns[BAD].any()
    assert not found.select(pl.struct(KEY).is_duplicated()).to_series().any()
    assert not members or set(found["member_id"]) == set(members)
    assert found["specific_information_code"].n_unique() == 4


def test_a_file_is_made_of_its_parts_and_of_its_seed(form: Format) -> None:
    numbers = np.arange(LINES, dtype=np.int64)
    parts = [
        copy_frames(form, 1, share, insurer=INSURER, first_record_number=int(share[0]) + 1)["copy"]
        for share in np.array_split(numbers, 3)
    ]
    assert pl.concat(parts).equals(frame(form))
    assert not frame(form, seed=2).equals(frame(form))


def test_an_insurer_asks_for_the_members_whose_copies_it_sent(
    catalogue: Catalogue, form: Format
) -> None:
    query = catalogue.formats["copy_query"]
    asked = copy_query_frames(query, 1, np.arange(1_000), insurer=INSURER)["wanted_copy"]
    assert set(asked["member_id"]) == set(frame(form)["member_id"])
