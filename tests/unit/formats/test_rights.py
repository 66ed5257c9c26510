"""Who may send what by which door: every party, format and door of the shipped rights.

The table is said again here, from the flows as they are published: which party is served with what.
"""

from __future__ import annotations

from itertools import product

import pytest

from koukan.formats import Catalogue

TERMINAL, LINK, NHI = "dedicated_terminal", "server_link", "nhi_aggregation"
REGISTRATION = ("member_registration", "member_registration_fixed")
CODES = ("linkage_code_query",)
Sent = dict[tuple[str, str], set[str]]  # format and 照会方式 -> doors

COMMON: Sent = {(name, mode): {TERMINAL, LINK} for name in (*REGISTRATION, *CODES) for mode in "12"}
RECEIPTS: Sent = {("package_receipt", mode): {TERMINAL} for mode in "12"}
QUESTIONS: Sent = {
    (name, mode): {TERMINAL} for name in ("my_number_query", "basic_four_query") for mode in "12"
}
COPIES: Sent = {
    **{("copy_registration", mode): {TERMINAL, LINK} for mode in "12"},
    **{("copy_query", mode): {TERMINAL} for mode in "12"},
}
EVERYTHING = COMMON | RECEIPTS | QUESTIONS | COPIES
SERVED: dict[str, Sent] = {
    **dict.fromkeys(
        (
            *("association", "health_society", "nhi_society", "elderly_union"),
            *("national_mutual", "local_mutual", "private_school"),
        ),
        EVERYTHING,
    ),
    # History and 機関別符号, by 国保情報集約システム alone; its people ask through NWS.
    "municipal_nhi": {place: {NHI} for place in COMMON},
    # Those and 基本4情報取得, in bulk, with what confirms its packages.
    "welfare": COMMON | RECEIPTS | {("basic_four_query", "2"): {TERMINAL}},
    "juki_net": {("juki_net_answer", mode): {"juki_net"} for mode in "12"},
    "nws": {
        (name, mode): {"nws"}
        for name in ("linkage_code_answer", "self_disclosure_request", "nws_receipt")
        for mode in "12"
    },
    "oqs": {(name, mode): {"oqs"} for name in ("usage_log", "online_response") for mode in "12"},
    "pmh": {(name, mode): {"pmh_link"} for name in ("pmh_request", "pmh_receipt") for mode in "12"},
}


def test_the_table_is_of_all_parties_and_of_all_that_comes_in(catalogue: Catalogue) -> None:
    assert set(SERVED) == {*catalogue.kinds, *catalogue.systems}
    coming = {name for name, form in catalogue.formats.items() if form.direction == "inbound"}
    assert coming == {name for sent in SERVED.values() for name, _ in sent}


@pytest.mark.parametrize("party", SERVED)
def test_each_party_sends_what_it_is_served_with_and_nothing_else(
    catalogue: Catalogue, party: str
) -> None:
    """A door that is not its own is told from a function that is not."""
    sent = SERVED[party]
    for name, mode, door in product(catalogue.formats, "12", catalogue.doors):
        doors = sent.get((name, mode), set())
        wanted = None if door in doors else "F202" if doors else "F203"
        found = catalogue.allowed(name, party, door, {"query_mode": mode})
        assert found == wanted, (name, mode, door)
