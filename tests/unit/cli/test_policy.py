"""`koukan policy show`."""

from __future__ import annotations

INSURER = "06990014"


def test_a_policy_is_shown_with_who_says_each_entry(call, copy) -> None:
    path = copy.root / "site.toml"
    text = path.read_text(encoding="utf-8")
    line = f'code = "{INSURER}"\n'
    assert line in text
    text = text.replace(line, f'{line}policy = {{ sequence_gap = "warn", late_days = 0 }}\n')
    path.write_text(f"{text}\n[policy]\nlate_days = 5\nreject_share = 0.25\n", encoding="utf-8")

    said = call("policy", "show", INSURER, "--root", str(copy.root))
    assert said.code == 0
    for part in (
        "注意を付けて",
        "問わない",
        "25%",
        "受け付けない",
        "[[insurer]]",
        "[policy]",
    ):
        assert part in said.out
    found = call("policy", "show", INSURER, "--json", "--root", str(copy.root)).document["policy"]
    assert found == {
        "sequence_gap": {"value": "warn", "from": "insurer"},
        "end_mismatch": {"value": "refuse", "from": "default"},
        "late_days": {"value": 0, "from": "insurer"},
        "reject_share": {"value": 0.25, "from": "site"},
        "reject_share_beyond": {"value": "refuse", "from": "default"},
    }


def test_what_nobody_says_is_the_formats(call, night) -> None:
    said = call("policy", "show", INSURER, "--root", str(night.place.root))
    assert said.code == 0
    assert "様式ごとの定め" in said.out
    assert "10 日を超えたら" in said.out
    share = call("policy", "show", INSURER, "--json", "--root", str(night.place.root))
    assert share.document["policy"]["reject_share"] == {"value": None, "from": "format"}


def test_the_policy_of_a_stranger_ends_in_40(call, night) -> None:
    assert call("policy", "show", "99999999", "--root", str(night.place.root)).code == 40
