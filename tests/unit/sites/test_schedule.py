"""When a job is due, and which night a moment belongs to."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.sites.schedule import JST, RANGES, Schedule, day_of, night_of

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


def jst(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JST)


def slow_values(text: str, low: int, high: int) -> set[int]:
    found = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        start, _, stop = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(start), int(stop or start) + 1, int(step or 1)))
    return found


def slow_latest(text: str, now: datetime, days: int) -> datetime | None:
    """Back minute by minute."""
    minutes, hours, of_month, months, weekdays = (
        slow_values(part, *bounds) for part, bounds in zip(text.split(), RANGES, strict=True)
    )
    moment = now.astimezone(JST).replace(second=0, microsecond=0)
    end = moment - timedelta(days=days)
    while moment.date() >= end.date():
        if (
            moment.minute in minutes
            and moment.hour in hours
            and moment.day in of_month
            and moment.month in months
            and moment.isoweekday() % 7 in weekdays
        ):
            return moment
        moment -= timedelta(minutes=1)
    return None


SCHEDULES = [
    "*/10 18-23,0-7 * * *",
    "30 8 * * *",
    "0 0 1 * *",
    "15,45 9-17/2 * * 1-5",
    "0 12 31 * *",
    "59 23 * * 0",
    "0 3 29 2 *",
    "* * * * *",
    "7 5 */7 1,4,7,10 *",
]


@pytest.mark.parametrize("text", SCHEDULES)
def test_the_latest_due_minute_is_that_of_a_walk_back_in_time(text: str) -> None:
    draws = random.Random(text)
    for _ in range(4):
        seconds = draws.randrange(6 * 365 * 86_400)
        now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        assert Schedule.parse(text).latest(now, days=9) == slow_latest(text, now, 9)


@given(MOMENTS, st.sampled_from(SCHEDULES))
def test_a_due_minute_is_due_itself_and_not_after_now(now: datetime, text: str) -> None:
    schedule = Schedule.parse(text)
    due = schedule.latest(now)
    if due is None:
        assert text == "0 3 29 2 *"
        return
    assert due <= now
    assert due.utcoffset() == timedelta(hours=9)
    assert schedule.latest(due) == due
    assert schedule.latest(due - timedelta(seconds=1)) != due


@given(MOMENTS, st.sampled_from(SCHEDULES))
def test_the_following_time_is_the_next_one_after_now(now: datetime, text: str) -> None:
    schedule = Schedule.parse(text)
    following = schedule.following(now)
    if following is None:
        assert text == "0 3 29 2 *"
        return
    assert following > now
    assert schedule.latest(following) == following
    assert schedule.latest(following - timedelta(minutes=1)) == schedule.latest(now)


def test_a_day_that_never_comes_never_follows() -> None:
    assert Schedule.parse("0 0 31 2 *").following(jst("2026-04-01 00:00")) is None


def test_missed_ones_are_due_once() -> None:
    schedule = Schedule.parse("30 8 * * *")
    last_run = jst("2026-04-01 08:30")
    back = jst("2026-04-05 07:00")  # three days of power cut
    due = schedule.latest(back)
    assert due == jst("2026-04-04 08:30")
    assert due > last_run  # due once, whatever the number of missed times
    assert schedule.latest(jst("2026-04-05 08:29:59")) == due


def test_a_day_that_never_comes_is_never_due() -> None:
    assert Schedule.parse("0 0 31 2 *").latest(jst("2026-04-01 00:00")) is None


def test_a_schedule_is_in_jst_whatever_the_given_moments_zone() -> None:
    schedule = Schedule.parse("0 1 * * *")
    moment = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    assert schedule.latest(moment) == jst("2026-04-01 01:00")
    assert schedule.latest(moment - timedelta(seconds=1)) == jst("2026-03-31 01:00")


@given(
    st.lists(
        st.tuples(st.integers(0, 59), st.integers(0, 59), st.integers(1, 60)),
        min_size=1,
        max_size=4,
    )
)
def test_spans_and_steps_are_read_as_ranges(spans: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{min(a, b)}-{max(a, b)}/{step}" for a, b, step in spans)
    schedule = Schedule.parse(f"{text} * * * *")
    assert schedule.minutes == slow_values(text, 0, 59)
    assert schedule.hours == frozenset(range(24))


def test_a_single_value_may_have_a_step() -> None:
    assert Schedule.parse("5/2 * * * *").minutes == {5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-3 * * * *",
        "*/0 * * * *",
        "*/x * * * *",
        "a * * * *",
        "1- * * * *",
        "-1 * * * *",
        "1,, * * * *",
        "1_0 * * * *",
        "１ * * * *",
        "+1 * * * *",
        "*/ * * * *",
        "1/2/3 * * * *",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|within|step|is not"):
        Schedule.parse(text)


# --- nights


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("2026-04-01 12:00", "2026-04-01"),
        ("2026-04-01 23:59:59", "2026-04-01"),
        ("2026-04-02 00:00", "2026-04-01"),
        ("2026-04-02 11:59:59.999999", "2026-04-01"),
        ("2026-01-01 03:00", "2025-12-31"),
    ],
)
def test_a_night_is_named_after_the_day_it_began(moment: str, night: str) -> None:
    assert night_of(jst(moment)) == night
    assert night_of(jst(moment).astimezone(UTC)) == night


@given(MOMENTS)
def test_a_night_lasts_from_noon_to_noon(moment: datetime) -> None:
    night = datetime.fromisoformat(night_of(moment)).replace(hour=12, tzinfo=JST)
    assert night <= moment < night + timedelta(days=1)


def test_a_day_begins_at_midnight_in_japan() -> None:
    assert day_of(datetime(2026, 3, 31, 14, 59, 59, tzinfo=UTC)) == date(2026, 3, 31)
    assert day_of(datetime(2026, 3, 31, 15, 0, tzinfo=UTC)) == date(2026, 4, 1)
    assert day_of(jst("2026-04-01T23:59")) == date(2026, 4, 1)
