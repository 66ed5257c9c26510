"""site.toml and jobs/*.toml: what a site may decide, and what is told about a mistake."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError
from told import told as said

from koukan.errors import DefinitionError
from koukan.formats import Catalogue
from koukan.formats.problems import found_by_pydantic
from koukan.shipped import jobs_folder
from koukan.sites import (
    Insurer,
    PublicKey,
    Site,
    job_gaps,
    load_jobs,
    load_site,
    require_site,
)
from koukan.sites.model import Approvals, Retention
from koukan.sites.payers import payers

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
AGE = "age12uxy4vz28hvh4v48ge68xx4z49ccwquvxp3upsevmkz6skq9l3psjx59uz"
STEPS = (
    *("report", "correct"),
    *("want", "take_codes", "notify", "request_codes", "send_codes", "tell_codes", "instruct"),
    *("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge", "erase"),
    *(
        "ask",
        "request",
        "request_immediate",
        "send",
        "split",
        "package",
        "confirm",
        "deliver",
        "expire",
    ),
    *("compact", "forget", "review", "export"),
    *("issue", "hand_out", "retire", "retire_codes"),
    *("fetch", "hand_over"),
    *("allot", "provide", "take_in"),
    *("disclose", "retire_records"),
    *("deposit", "extract", "return_copies"),
)


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


@pytest.mark.requirement("R013")
def test_five_partner_systems_may_be_registered_and_no_other(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """国保情報集約システム is a sender that speaks for 市町村国保, the others are systems."""
    assert set(catalogue.systems) == {"juki_net", "nws", "oqs", "pmh"}
    own = {
        right.doors: right.kinds for right in catalogue.rights if "nhi_aggregation" in right.doors
    }
    assert own == {("nhi_aggregation",): ("municipal_nhi",)}
    for system in sorted(catalogue.systems):
        partner = f'[[sender]]\nname = "partner"\ntitle = "x"\nsystem = "{system}"\ndoors = []\n'
        assert site_of(tmp_path, f"{SITE}\n{partner}", catalogue)[1] == []
        strange = partner.replace(f'"{system}"', '"jlis_card"')
        site, problems = site_of(tmp_path, f"{SITE}\n{strange}", catalogue)
        assert site is None
        assert [(one.place, one.key) for one in problems] == [
            ("sender[partner].system", "definitions.unknown")
        ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'kind = "municipal_nhi"',
            'kind = "club"',
            "insurer[00138016].kind: club is not defined.",
        ),
        (
            '"server_link"',
            '"window"',
            "sender[kenpo-a].doors: window is not defined.",
        ),
        (
            'insurers = ["00138016"]',
            'insurers = ["99999999"]',
            "The insurer 99999999 of the sender nhi-aggregation is not among [[insurer]]",
        ),
        (
            'code = "00138016"',
            'code = "06990014"',
            "has the same value twice (06990014)",
        ),
        (
            'name = "nhi-aggregation"',
            'name = "kenpo-a"',
            "has the same value twice (kenpo-a)",
        ),
        (
            'code = "06990014"',
            'code = "6990014"',
            "insurer[6990014].code: It is not",
        ),
        (
            'name = "kenpo-a"',
            'name = "Kenpo/.."',
            "sender[Kenpo/..].name: It is not",
        ),
        ("\n[[insurer]]", "\nbuckets = 12\n[[insurer]]", "buckets is no power of two"),
        (
            "\n[[insurer]]",
            "\nbuckets = 0\n[[insurer]]",
            "buckets: The number is too small. Write 1 or more",
        ),
        (
            "\n[[insurer]]",
            '\nlanguage = "fr"\n[[insurer]]',
            "language: It is none of the values that are possible. Write one of: ja, en",
        ),
        (
            "\n[[insurer]]",
            "\n[limits]\ngroup_files = 0\n[[insurer]]",
            "limits.group_files: The number is too small. Write one above 0",
        ),
        (
            "\n[[insurer]]",
            "\n[workers]\ncount = 0\n[[insurer]]",
            "workers.count: The number is too small. Write 1 or more",
        ),
        (
            "\n[[insurer]]",
            "\n[limits]\nspeed = 9\n[[insurer]]",
            "limits.speed: There is no entry of this name",
        ),
        (
            'kind = "municipal_nhi"',
            'kind = "municipal_nhi"\npackage_key = "AGE-SECRET-KEY-1QQPQ"',
            "insurer[00138016].package_key: package_key is not a right public key",
        ),
        (
            'insurers = ["06990014"]',
            f'insurers = ["06990014"]\npackage_key = "{AGE}"',
            "The package_key of the sender kenpo-a would never be used",
        ),
        ("[[insurer]]", "[[insurer]", "site.toml: It cannot be read as TOML (line 2)"),
    ],
)
def test_what_is_wrong_with_a_site_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    assert old in SITE
    site, problems = site_of(tmp_path, SITE.replace(old, new, 1), catalogue)
    assert site is None
    assert any(told in line for line in said(problems)), problems
    with pytest.raises(DefinitionError) as found:
        require_site(tmp_path / "site.toml", catalogue)
    assert found.value.key == "sites.wrong"


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDReNUSM0hMDdU+XCCMxtzwlAdTnuzQImVQxgt77Ymbq"
RSA = f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{'DGR4Uv' * 58}="


@pytest.mark.parametrize("key", ["", AGE, ED25519, f"{ED25519} 架空健保", RSA, f"{RSA} me@host"])
def test_an_insurer_may_register_the_key_of_its_packages(key: str) -> None:
    insurer = Insurer(code="06990014", kind="health_society", title="x", package_key=key)
    assert insurer.package_key == key


@pytest.mark.parametrize(
    "key",
    [
        AGE[:-1], f"{AGE}q", AGE.upper(), AGE.replace("x", "b", 1), f"{AGE} comment", f" {AGE}",
        AGE.replace("age1", "AGE-SECRET-KEY-1"), f"{AGE}\n{AGE}", ED25519[:-1], f"{ED25519}A",
        f"{ED25519}\n", f"{ED25519} a\nb", f"{ED25519}\tme", f'command="x" {ED25519}',
        ED25519.replace("ssh-ed25519", "ssh-rsa"), RSA.replace("ssh-rsa", "ssh-ed25519"),
        RSA[:60], ED25519.replace("ed25519", "ed448"), ED25519.split()[1],
    ],
)  # fmt: skip
def test_what_is_no_public_key_is_refused_without_its_text(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Insurer(code="06990014", kind="health_society", title="x", package_key=key)
    assert caught.value.error_count() == 1
    found = found_by_pydantic("site.toml", "", caught.value, {})
    assert [(item.place, item.key) for item in found] == [
        ("package_key", "definitions.package_key")
    ]
    assert key not in said(found)[0] or not key


def test_a_site_that_is_not_there_is_told(tmp_path: Path, catalogue: Catalogue) -> None:
    site, problems = load_site(tmp_path / "site.toml", catalogue)
    assert (site, [item.key for item in problems]) == (None, ["definitions.no_file"])
    assert said(problems)[0].startswith("site.toml: There is no such file.")


def test_who_left_the_site_is_an_error_with_a_name(tmp_path: Path, catalogue: Catalogue) -> None:
    site, _ = site_of(tmp_path, SITE, catalogue)
    assert site is not None
    with pytest.raises(DefinitionError) as found:
        site.sender("gone")
    assert (found.value.key, found.value.where) == ("sites.no_sender", {"sender": "gone"})
    with pytest.raises(DefinitionError) as found:
        site.insurer("99999999")
    assert (found.value.key, found.value.where) == ("sites.no_insurer", {"insurer": "99999999"})


# --- persons

SATO, SUZUKI = PublicKey(bytes(32)), PublicKey(bytes(range(32)), b"ssh:", "token")
PERSONS = f"""
[[person]]
name = "sato"
title = "支払基金 佐藤（架空）"
key = "{SATO}"
rights = ["send", "store"]
valid_from = 2026-04-01
valid_to = 2027-03-31

[[person]]
name = "suzuki"
title = "支払基金 鈴木（架空）"
key = "{SUZUKI}"
rights = ["look"]
valid_from = 2026-04-01
revoked = true

[approvals]
days = 5
store = 2
user_verified = true
"""


def test_a_site_names_its_persons_and_what_approvals_need(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    site, problems = site_of(tmp_path, SITE + PERSONS, catalogue)
    assert (problems, site is None) == ([], False)
    assert site is not None
    sato, suzuki = site.persons
    assert (sato.name, sato.rights, sato.revoked) == ("sato", ("send", "store"), False)
    assert (sato.valid_from, sato.valid_to) == (date(2026, 4, 1), date(2027, 3, 31))
    assert (suzuki.rights, suzuki.valid_to, suzuki.revoked) == (("look",), None, True)
    assert site.person_of(PublicKey(bytes(range(32)), b"ssh:")) == suzuki
    assert site.person_of(PublicKey(bytes(range(32)))) is None
    assert site.approvals == Approvals(days=5, store=2, user_verified=True)
    assert [site.approvals.needed(name) for name in ("send", "store")] == [1, 2]


def test_a_site_needs_no_persons(tmp_path: Path, catalogue: Catalogue) -> None:
    site, _ = site_of(tmp_path, SITE, catalogue)
    assert site is not None
    assert site.persons == ()
    assert site.approvals == Approvals(days=3, send=1, store=1, user_verified=False)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"suzuki"', '"sato"', "[[person]] name has the same value twice (sato)"),
        ('"suzuki"', '"Sato"', "[[person]] name has the same value twice (sato)"),
        (
            str(SUZUKI),
            f"{SATO} again",
            f"has the same value twice ({SATO.fingerprint})",
        ),
        ('"sato"', '"batch"', "The name of a [[person]] is that of the batch actor (batch)"),
        ('"sato"', '"Batch"', "The name of a [[person]] is that of the batch actor (batch)"),
        ('"sato"', '"佐藤"', "person[佐藤].name: It is not written as"),
        ('"sato"', '"../x"', "person[../x].name: It is not written as"),
        (
            '["look"]',
            '["read"]',
            "person[suzuki].rights[1]: It is none of the values",
        ),
        (str(SATO), "ssh-rsa AAAA", "person[sato].key: key is not a right public key"),
        (str(SATO), f"{SATO}A", "person[sato].key: key is not a right public key"),
        (f'"{SATO}"', "7", "person[sato].key: key is not a right public key"),
        ("2027-03-31", "2026-03-31", "person[sato]: `valid_from` is later than `valid_to`"),
        ("2027-03-31", "2027-03-31T00:00:00", "person[sato].valid_to: It is no day"),
        ("2027-03-31", '"2027-03-31"', "person[sato].valid_to: It is no day"),
        ("valid_from = 2026-04-01\n", "", "person[sato].valid_from: This entry is missing"),
        ("days = 5", "days = 0", "approvals.days: The number is too small. Write 1 or more"),
        ("store = 2", "store = 0", "approvals.store: The number is too small. Write 1 or more"),
        ("store = 2", "refuse = 2", "approvals.refuse: There is no entry of this name"),
    ],
)
def test_what_is_wrong_with_persons_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    assert old in PERSONS
    site, problems = site_of(tmp_path, SITE + PERSONS.replace(old, new, 1), catalogue)
    assert site is None
    assert any(told in line for line in said(problems)), problems


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
        ('"0 1 * * *"', '"0 25 * * *"', "own.toml: schedule cannot be read"),
        ('"0 1 * * *"', '"hourly"', "own.toml: schedule cannot be read"),
        (
            '"pick_up"',
            '"pick"',
            "own.toml steps: pick is not defined.",
        ),
        (
            '"member_registration"',
            '"member"',
            "formats: member is not defined.",
        ),
        ("title", "name = 'x'\ntitle", "name follows from the name of the file"),
        ("title", "titel", "own.toml titel: There is no entry of this name"),
        ("title =", "title", "own.toml: It cannot be read as TOML (line 2)"),
        ("[", "[[", "own.toml: It cannot be read as TOML (line"),
    ],
)
def test_what_is_wrong_with_a_job_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    (tmp_path / "own.toml").write_text(JOB.replace(old, new, 1), encoding="utf-8")
    _, problems = load_jobs([tmp_path], catalogue, STEPS)
    assert any(told in line for line in said(problems)), problems


def test_a_retention_is_a_number_of_days(tmp_path: Path, catalogue: Catalogue) -> None:
    text = JOB + '[retention]\noriginal = "P1Y"\n'
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    _, problems = load_jobs([tmp_path], catalogue, STEPS)
    assert any("retention.original: It is not written as" in line for line in said(problems))


def test_a_sites_job_overrides_the_shipped_one(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "register_members.toml").write_text(JOB, encoding="utf-8")
    jobs, problems = load_jobs([jobs_folder(), tmp_path], catalogue, STEPS)
    assert problems == []
    assert jobs["register_members"].schedule == "0 1 * * *"
    assert "erase_expired" in jobs


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'formats = ["member_registration"]',
            "",
            "jobs/own.toml formats: It has the step pick_up, but no formats to take.",
        ),
        ('"pick_up"', '"gate"', "jobs/own.toml steps: It names formats, but has no step pick_up"),
        (
            '"member_registration"',
            '"acknowledgement"',
            "jobs/own.toml formats: The format acknowledgement goes out and cannot be taken.",
        ),
        (
            '"member_registration"',
            '"my_number_query"',
            "formats/member_registration.toml: No job takes the format member_registration",
        ),
        (
            "title",
            "title",
            "jobs/own.toml formats: Several jobs take the format member_registration (other, own).",
        ),
    ],
)
def test_what_no_job_takes_and_what_two_take_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    (tmp_path / "own.toml").write_text(JOB.replace(old, new, 1), encoding="utf-8")
    if old == new:
        (tmp_path / "other.toml").write_text(JOB, encoding="utf-8")
    jobs, problems = load_jobs([tmp_path], catalogue, STEPS)
    assert problems == []
    assert any(line.startswith(told) for line in said(job_gaps(jobs, catalogue)))


def test_the_shipped_jobs_take_every_format_once(catalogue: Catalogue) -> None:
    jobs, _ = load_jobs([jobs_folder()], catalogue, STEPS)
    assert job_gaps(jobs, catalogue) == []


@pytest.mark.parametrize(
    ("outcome", "days"),
    [("refused", 7), ("accepted", 35), ("duplicate", 35), ("held", 35), (None, 35)],
)
def test_refused_originals_are_kept_for_a_shorter_time(outcome: str | None, days: int) -> None:
    assert Retention().days(outcome) == days


# --- partners' hosts

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDRA6mOteo5Cu5Yktl2ct0qjRgGRShaTT2N056IeKxcF host"
PARTNER = f"""
[[sender]]
name = "juki-net"
title = "住民基本台帳ネットワークシステム"
doors = ["juki_net"]
system = "juki_net"

[sender.host]
address = "sftp.juki-net.example"
user = "koukan"
host_keys = ["{HOST_KEY}"]
fetch_from = "out"
hand_to = "in"
"""


def test_a_partner_may_have_a_host(tmp_path: Path, catalogue: Catalogue) -> None:
    site, problems = site_of(tmp_path, SITE + PARTNER, catalogue)
    assert problems == []
    assert site is not None
    sender = site.sender("juki-net")
    assert sender.host is not None
    assert (sender.host.port, sender.host.markers, sender.fetched_to) == (22, False, "juki_net")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (HOST_KEY, "ssh-ed25519 AAAA", "A line of host_keys is not a right public host key."),
        (HOST_KEY, HOST_KEY.replace("-ed25519", "-rsa", 1), "A line of host_keys is not a right"),
        (HOST_KEY, f"127.0.0.1 {HOST_KEY}", "A line of host_keys is not a right"),
        (f'["{HOST_KEY}"]', "[]", "host.host_keys: "),
        ('user = "koukan"', 'user = "-oProxyCommand=x"', "host.user: "),
        ('hand_to = "in"', 'hand_to = "in"\ndoor = "server_link"', "cannot have this `host`"),
        ('doors = ["juki_net"]', 'doors = ["juki_net", "server_link"]', "cannot have this `host`"),
        ('system = "juki_net"', 'insurers = ["06990014"]', "cannot have this `host`"),
        ('hand_to = "in"', 'hand_to = "in"\nkey_file = "x"', "There is no entry of this name"),
    ],
)
def test_what_is_wrong_with_a_host_is_told(
    tmp_path: Path, catalogue: Catalogue, old: str, new: str, told: str
) -> None:
    assert old in PARTNER
    site, problems = site_of(tmp_path, SITE + PARTNER.replace(old, new, 1), catalogue)
    assert site is None
    assert any(told in line for line in said(problems)), said(problems)


# --- staff and their operators

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDRA6mOteo5Cu5Yktl2ct0qjRgGRShaTT2N056IeKxcF sato"


def person(operator: str, rights: str) -> str:
    return (
        f'\n[[person]]\nname = "sato"\ntitle = "担当"\noperator = "{operator}"\nkey = "{KEY}"\n'
        f"rights = {rights}\nvalid_from = 2026-04-01\n"
    )


@pytest.mark.requirement("R005", "R054")
@pytest.mark.parametrize("right", ["send", "store", "look", "code"])
def test_staff_of_an_operator_without_the_duty_have_no_right_at_the_register(
    tmp_path: Path, catalogue: Catalogue, right: str
) -> None:
    fund, central = catalogue.operators["payment_fund"], catalogue.operators["nhi_central"]
    assert set(fund.duties) == set(catalogue.duties) and len(fund.duties) == 4
    assert central.duties == ("history",)
    site, problems = site_of(tmp_path, SITE + person("payment_fund", f'["{right}"]'), catalogue)
    assert site is not None and problems == []
    site, problems = site_of(tmp_path, SITE + person("nhi_central", f'["{right}"]'), catalogue)
    assert site is None
    (told,) = said(problems)
    assert "person[sato].rights" in told and "nhi_central" in told
    site, problems = site_of(tmp_path, SITE + person("nhi_central", "[]"), catalogue)
    assert site is not None and problems == []


def test_an_operator_that_nobody_knows_is_told(tmp_path: Path, catalogue: Catalogue) -> None:
    _, problems = site_of(tmp_path, SITE + person("somebody", "[]"), catalogue)
    (told,) = said(problems)
    assert "person[sato].operator" in told and "payment_fund" in told


@pytest.mark.parametrize("what", ["system", "door"])
def test_a_system_or_door_outside_the_closed_lists_is_refused(
    tmp_path: Path, catalogue: Catalogue, what: str
) -> None:
    """The upper limit of R013: what is not named in rights.toml cannot be connected."""
    own = 'system = "tax_office"' if what == "system" else 'system = "juki_net"'
    door = "juki_net" if what == "system" else "tax_line"
    sender = f'\n[[sender]]\nname = "other"\ntitle = "税務"\ndoors = ["{door}"]\n{own}\n'
    site, problems = site_of(tmp_path, SITE + sender, catalogue)
    assert site is None
    (told,) = said(problems)
    assert f"sender[other].{what}" in told and "is not defined" in told


OFFICES = """
[[insurer]]
code = "12996013"
kind = "welfare"
title = "架空福祉事務所"
payers = ["12996021", "12996039"]
[[insurer]]
code = "12996047"
kind = "welfare"
title = "架空第二福祉事務所"
[[insurer]]
code = "06990014"
kind = "health_society"
title = "架空第一健康保険組合"
[[sender]]
name = "office"
title = "架空福祉事務所"
doors = ["dedicated_terminal"]
insurers = ["12996013", "12996047", "06990014"]
"""


@pytest.mark.requirement("R159", "R188")
def test_a_payer_number_is_one_offices_and_no_other_insurers(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    site, problems = site_of(tmp_path, OFFICES, catalogue)
    assert problems == [] and site is not None
    numbers = {12996021: "12996013", 12996039: "12996013", 12996047: "12996047"}
    assert payers(site, catalogue) == numbers
    for old, new in (("12996039", "12996021"), ("12996039", "12996047")):
        _, (found,) = site_of(tmp_path, OFFICES.replace(f'"{old}"]', f'"{new}"]'), catalogue)
        assert found.key == "definitions.twice"
    whose = OFFICES.replace('"health_society"\n', '"health_society"\npayers = ["12996054"]\n')
    _, (found,) = site_of(tmp_path, whose, catalogue)
    assert found.key == "definitions.payers_of_whom"
