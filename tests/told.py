"""What `koukan check` says of a problem, and whether its Japanese is Japanese."""

from __future__ import annotations

import re

from koukan import words
from koukan.formats import Problem

ENGLISH = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}")
QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|\([^)]*\)|\[\[?[a-z]+\]?\]")  # commands, values, code


def told(problems: list[Problem], language: str = "en") -> list[str]:
    """`file place: sentence next`, one each. Every problem has both, in both languages."""
    for item in problems:
        for other in words.LANGUAGES:
            assert words.sentence(item.key, other, **item.where)
            assert words.next_step(item.key, other, **item.where)
        japanese = QUOTED.sub("", _said(item, "ja"))
        assert re.search("[ぁ-ん]", japanese), japanese
        assert not ENGLISH.search(japanese), japanese
        assert "?" not in japanese, japanese  # a placeholder that nobody filled
    return [f"{item.at}: {_said(item, language)}" for item in problems]


def _said(item: Problem, language: str) -> str:
    sentence = words.sentence(item.key, language, **item.where)
    return f"{sentence} {words.next_step(item.key, language, **item.where)}"
