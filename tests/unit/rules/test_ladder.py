from __future__ import annotations

import pytest

from koukan.rules.ladder import ladder

A, B, C, END, DUE = "a", "b", "c", "end", "due"


@pytest.mark.parametrize(
    ("reached", "outcome", "closed", "due", "told"),
    [
        ((A, None, None), None, None, DUE, "done a, planned due, planned due, planned due"),
        ((A, B, None), None, None, DUE, "done a, done b, planned due, planned due"),
        ((A, B, C), None, None, DUE, "done a, done b, done c, planned due"),
        ((A, B, C), "accepted", END, None, "done a, done b, done c, done end"),
        ((A, B, None), "accepted", END, None, "done a, done b, done end, done end"),
        ((A, None, None), "refused", END, None, "done a, ended end, needless -, needless -"),
        ((A, B, None), "refused", END, None, "done a, done b, ended end, needless -"),
        ((A, None, None), "duplicate", END, None, "done a, ended end, needless -, needless -"),
        ((A, None, None), "held", None, DUE, "done a, held due, planned due, planned due"),
        ((A, B, None), "held", None, None, "done a, done b, held -, planned -"),
    ],
)
def test_a_ladder_tells_how_far_a_file_is(
    reached: tuple[str | None, ...],
    outcome: str | None,
    *,
    closed: str | None,
    due: str | None,
    told: str,
) -> None:
    rungs = ladder(reached, outcome, closed, due)
    assert [rung.name for rung in rungs] == ["received", "form", "lines", "applied"]
    assert ", ".join(f"{rung.state} {rung.at or '-'}" for rung in rungs) == told
