"""`koukan waiting`, as people and as programs read it."""

from __future__ import annotations

import pytest
from centres import Place, lay
from histories import KENPO, KYOKAI
from statements import tell


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("waiting")
    place = Place(folder / "site", folder / "keys" / "batch.key").initialised()
    lay(place, "kyokai", 1, persons=2)
    place.run()
    with place.opened() as centre:
        tell(centre, KYOKAI, 2, {11: "2", 12: "3"}, {11: None, 12: 5})
    return place


@pytest.fixture
def options(site: Place) -> tuple[str, ...]:
    return ("--root", str(site.root), "--key", str(site.key))


def test_who_waits_is_listed_by_member_line_and_age_and_nothing_else(call, options) -> None:
    found = call("waiting", KYOKAI, "--json", *options).document
    assert (found["schema"], found["insurer"]) == ("koukan.waiting.v1", KYOKAI)
    kinds = [("2", "0000000011"), ("3", "0000000012"), ("my_number", "0000000011")]
    assert sorted((one["waiting_for"], one["member_id"]) for one in found["waiting"]) == kinds
    names = {"waiting_for", "member_id", "reception", "line_number", "days"}
    assert all(set(one) == names for one in found["waiting"])
    shown = call("waiting", KYOKAI, *options)
    assert all(word in shown.out for word in ("加入予定者", "世帯員", "登録待ち", "0000000012"))
    assert "3件" in shown.err


def test_nobody_waits(call, options) -> None:
    said = call("waiting", KENPO, *options)
    assert (said.code, said.out) == (0, "届出を待っている人はいません。\n")
    assert call("waiting", "99999999", "--json", *options).error["key"] == "waiting.unknown"
