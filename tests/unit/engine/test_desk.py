"""A desk: what a person sees who holds no key of the centre."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from centres import Place

from koukan import reports
from koukan.engine.desk import Desk, open_desk
from koukan.errors import DefinitionError, EnvironmentRefused


def test_a_desk_reports_as_its_centre_does_without_any_key(place: Place) -> None:
    with place.opened() as centre:
        theirs = reports.status(centre, insurers=True)
    place.key.unlink()
    shutil.rmtree(place.root / "keyring")
    desk = open_desk(place.root, clock=lambda: place.now)
    assert reports.status(desk, insurers=True) == theirs
    assert theirs["needs_you"]["held_total"] == 1
    desk.close()
    assert not {"keyring", "key_file", "signer", "tokeniser"} & set(dir(Desk))


def test_a_folder_that_is_no_centre_or_has_wrong_definitions_is_refused(
    place: Place, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentRefused, match="not_initialised"):
        open_desk(tmp_path)
    place.write_site("actor = 7\n")
    with pytest.raises(DefinitionError, match=r"sites\.wrong"):
        open_desk(place.root)
