"""`koukan review`: counts by insurer, and the persons of one review."""

from __future__ import annotations


def test_overlaps_are_counted_and_listed(call, copy) -> None:
    none = call("review", *copy.options)
    assert (none.code, none.out) == (0, "資格期間の重なりはありません。\n")
    assert call("run", "review_spells", *copy.options).code == 10  # files of the night are held
    counted = call("review", "--json", *copy.options).document["found"]
    listed = call("review", "--persons", "1", "--json", *copy.options).document["found"]
    assert {one["insurer"] for one in counted} == {one["insurer_code"] for one in listed}
    members = {(one["insurer_code"], one["member_id"], one["code"]) for one in listed}
    assert sum(one["same"] + one["other"] for one in counted) == len(members)
    text = call("review", "--persons", "1", *copy.options).out
    assert text.count("\n") == len(listed) + 1
    assert counted[0]["name"] in call("review", *copy.options).out


def test_a_review_that_was_not_is_unknown(call, fresh) -> None:
    found = call("review", "--persons", "3", *fresh.options)
    assert found.code == 64
    assert "その番号の点検はありません。" in found.err
