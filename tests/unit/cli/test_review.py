"""`koukan review`: counts by insurer, and the persons of one review."""

from __future__ import annotations

from staff import Staff, employ, key_file

SATO = Staff("sato", rights=("review",))
SUZUKI = Staff("suzuki", rights=("number",))


def test_overlaps_are_counted_and_listed(call, copy, tmp_path) -> None:
    employ(copy.root, SATO, SUZUKI)
    sato, suzuki = (("--person-key", str(key_file(tmp_path, one))) for one in (SATO, SUZUKI))
    none = call("review", *copy.options)
    assert (none.code, none.out) == (0, "資格期間の重なりはありません。\n")
    assert call("run", "review_spells", *copy.options).code == 10  # files of the night are held
    counted = call("review", "--json", *copy.options).document["found"]
    listed = call("review", "--persons", "1", "--json", *sato, *copy.options).document["found"]
    assert {one["insurer"] for one in counted} == {one["insurer_code"] for one in listed}
    members = {(one["insurer_code"], one["member_id"], one["code"]) for one in listed}
    assert sum(one["same"] + one["other"] for one in counted) == len(members)
    text = call("review", "--persons", "1", *sato, *copy.options).out
    assert text.count("\n") == len(listed) + 1
    assert counted[0]["name"] in call("review", *copy.options).out
    refused = call("review", "--persons", "1", *suzuki, *copy.options)
    assert (refused.code, refused.out) == (64, "")
    assert "suzuki には、この操作の権限がありません。" in refused.err
    assert call("review", "--persons", "1", *copy.options).code == 64
    assert call("review", *sato, *copy.options).code == 64


def test_a_question_is_signed_elsewhere_and_answered_once(call, copy, tmp_path) -> None:
    employ(copy.root, SATO)
    call("run", "review_spells", *copy.options)
    asked = tmp_path / "question.json"
    arguments = ("review", "--persons", "1", "--question", str(asked), *copy.options)
    laid = call(*arguments)
    assert (laid.code, laid.out) == (0, "")
    assert asked.stat().st_mode & 0o777 == 0o600
    given = tmp_path / "question.json.sig"
    given.write_bytes(SATO.signing.sign(asked.read_bytes(), "koukan"))
    assert call(*arguments, "--signature", str(given)).out.count("\n") > 1
    assert "すでに一度回答しました" in call(*arguments, "--signature", str(given)).err
    assert "すでに" in call(*arguments, "--signature", str(given)).err
    assert call(*arguments).code == 64  # it is there: none is written over
    assert call(*arguments, "--signature", str(tmp_path / "none")).code == 64
    asked.write_bytes("質問".encode())
    assert "質問ファイルが" in call(*arguments, "--signature", str(given)).err


def test_a_review_that_was_not_is_unknown(call, fresh, tmp_path) -> None:
    employ(fresh.root, SATO)
    key = str(key_file(tmp_path, SATO))
    found = call("review", "--persons", "3", "--person-key", key, *fresh.options)
    assert found.code == 64
    assert "その番号の点検はありません。" in found.err
