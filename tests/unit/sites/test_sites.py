"""site.toml and jobs/*.toml: what a site may decide, and what is told about a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from koukan.errors import DefinitionError
from koukan.formats import Catalogue
from koukan.shipped import jobs_folder
from koukan.sites import Site, load_jobs, load_site, require_site
from koukan.sites.model import Retention

SITE = """
[[insurer]]
code = "06990014"
kind = "health_society"
title = "架空健康保険組合"

[[insurer]]
code = "00138016"
kind = "municipal_nhi"
title = "見本市"

[[sender]]
name = "kenpo-a"
title = "架空健康保険組合"
doors = ["dedicated_terminal", "server_link"]
insurers = ["06990014"]

[[sender]]
name = "nhi-aggregation"
title = "国保情報集約システム"
doors = ["nhi_aggregation"]
insurers = ["00138016"]
"""
STEPS = ("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge", "erase")


def site_of(tmp_path: Path, text: str, catalogue: Catalogue) -> tuple[Site | None, list[str]]:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path, catalogue)


def test_a_site_is_read_with_its_defaults(tmp_path: Path, catalogue: Catalogue) -> None:
    site, problems = site_of(tmp_path, SITE, catalogue)
    assert problems == []
    assert site is not None
    assert (site.language, site.actor, site.workers.kind) == ("ja", "batch", "threads")
    assert site.sender("kenpo-a").insurers == ("06990014",)
    assert site.insurer("00138016").kind == "municipal_nhi"
    assert require_site(tmp_path / "site.toml", catalogue) == site


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'kind = "municipal_nhi"',
            'kind = "club"',
            "insurer 00138016: kind is not one of association, elderly_union",
        ),
        (
            '"server_link"',
            '"window"',
            "sender kenpo-a: 'window' is not one of dedicated_terminal, nhi_aggregation",
        ),
        (
            'insurers = ["00138016"]',
            'insurers = ["99999999"]',
            "sender nhi-aggregation: insurer ['99999999'] is not known",
        ),
        ('code = "00138016"', 'code = "06990014"', "insurer ['06990014'] stands twice"),
        ('name = "nhi-aggregation"', 'name = "kenpo-a"', "sender ['kenpo-a'] stands twice"),
        ('code = "06990014"', 'code = "6990014"', "insurer.0.code: String should match"),
        ('name = "kenpo-a"', 'name = "Kenpo/.."', "sender.0.name: String should match"),
        ("\n[[insurer]]", "\nbuckets = 12\n[[insurer]]", "buckets is a power of two"),
        (
            "\n[[insurer]]",
            "\nbuckets = 0\n[[insurer]]",
            "buckets: Input should be greater than or equal to 1",
        ),
        (
            "\n[[insurer]]",
            '\nlanguage = "fr"\n[[insurer]]',
            "language: Input should be 'ja' or 'en'",
        ),
        (
            "\n[[insurer]]",
            "\n[limits]\ngroup_files = 0\n[[insurer]]",
            "limits.group_files: Input should be greater",
        ),
        (
            "\n[[insurer]]",
            "\n[workers]\ncount = 0\n[[insurer]]",
            "workers.count: Input should be greater",
        ),
        (
            "\n[[insurer]]",
            "\n[limits]\nspeed = 9\n[[insurer]]",
            "limits.speed: Extra inputs are not permitted",
        ),
        ("[[insurer]]", "[[insurer]", "site.toml: "),
    ],
)
def test_what_is_wrong_with_a_site_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    assert old in SITE
    site, problems = site_of(tmp_path, SITE.replace(old, new, 1), catalogue)
    assert site is None
    assert any(told in problem for problem in problems), problems
    with pytest.raises(DefinitionError) as found:
        require_site(tmp_path / "site.toml", catalogue)
    assert found.value.key == "sites.wrong"


def test_a_site_that_is_not_there_is_told(tmp_path: Path, catalogue: Catalogue) -> None:
    site, problems = load_site(tmp_path / "site.toml", catalogue)
    assert (site, problems) == (None, ["site.toml: there is no such file"])


def test_who_left_the_site_is_an_error_with_a_name(tmp_path: Path, catalogue: Catalogue) -> None:
    site, _ = site_of(tmp_path, SITE, catalogue)
    assert site is not None
    with pytest.raises(DefinitionError) as found:
        site.sender("gone")
    assert (found.value.key, found.value.where) == ("sites.no_sender", {"sender": "gone"})
    with pytest.raises(DefinitionError) as found:
        site.insurer("99999999")
    assert (found.value.key, found.value.where) == ("sites.no_insurer", {"insurer": "99999999"})


# --- jobs


def test_the_shipped_jobs_are_right(catalogue: Catalogue) -> None:
    jobs, problems = load_jobs([jobs_folder()], catalogue, STEPS)
    assert problems == []
    assert {"register_members", "erase_expired"} <= set(jobs)
    assert jobs["register_members"].retention == Retention(original="P35D", refused="P7D")


JOB = """
title = "試験"
purpose = "test"
schedule = "0 1 * * *"
formats = ["member_registration"]
steps = ["pick_up"]
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"0 1 * * *"', '"0 25 * * *"', "own.toml: -: Value error, '25' is not within 0-23"),
        ('"0 1 * * *"', '"hourly"', "a schedule has five fields: 'hourly'"),
        ('"pick_up"', '"pick"', "own.toml: step 'pick' is not one of acknowledge, admit, commit"),
        (
            '"member_registration"',
            '"member"',
            "format 'member' is not one of acknowledgement, member_registration",
        ),
        ("title", "name = 'x'\ntitle", "['name'] is given by its place"),
        ("title", "titel", "own.toml: titel: Extra inputs are not permitted"),
        ("title =", "title", "own.toml: "),
        ("[", "[[", "own.toml: "),
    ],
)
def test_what_is_wrong_with_a_job_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    (tmp_path / "own.toml").write_text(JOB.replace(old, new, 1), encoding="utf-8")
    _, problems = load_jobs([tmp_path], catalogue, STEPS)
    assert any(told in problem for problem in problems), problems


def test_a_retention_is_a_number_of_days(tmp_path: Path, catalogue: Catalogue) -> None:
    text = JOB + '[retention]\noriginal = "P1Y"\n'
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    _, problems = load_jobs([tmp_path], catalogue, STEPS)
    assert any("retention.original: String should match" in problem for problem in problems)


def test_a_sites_job_overrides_the_shipped_one(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "register_members.toml").write_text(JOB, encoding="utf-8")
    jobs, problems = load_jobs([jobs_folder(), tmp_path], catalogue, STEPS)
    assert problems == []
    assert jobs["register_members"].schedule == "0 1 * * *"
    assert "erase_expired" in jobs


@pytest.mark.parametrize(
    ("outcome", "days"),
    [("refused", 7), ("accepted", 35), ("duplicate", 35), ("held", 35), (None, 35)],
)
def test_refused_originals_are_kept_for_a_shorter_time(outcome: str | None, days: int) -> None:
    assert Retention().days(outcome) == days
