"""All golden cases, run once for all tests here."""

from __future__ import annotations

import pytest
from golden.cases import cases
from golden.runner import Golden
from golden.telling import Tables, told_of


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """The centre behind all of them."""
    found = Golden.laid(tmp_path_factory.mktemp("golden"), cases())
    found.run()
    return found


@pytest.fixture(scope="session")
def results(golden: Golden) -> dict[str, str]:
    """What every case came to, by the prefix of its senders."""
    with golden.place.opened() as centre:
        tables = Tables(centre)
    return {prefix: told_of(golden, tables, one) for prefix, one in golden.told.items()}
