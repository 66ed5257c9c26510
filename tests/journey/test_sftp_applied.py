"""What `koukan sftp config` writes, applied for real, and whatever is then made wrong is told.

apply.sh runs with the system's own systemd-sysusers, systemd-tmpfiles and sshd, in a mount
namespace whose /etc, /srv and /run are its own: nothing of this machine is changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sftp_support
from centres import Place
from journey import nights

from koukan.cli import main
from koukan.errors import Exit
from koukan.samples.scenario import site_toml

SSH, SRV = "/etc/ssh", "/srv/koukan-sftp"
DOOR = f"{SRV}/kenpo-a/inbox/server_link"
# What is told of each: end of the path, and what stands there.
TOLD = {
    "an outbox of its sender's": (f"{SRV}/kenpo-a/outbox", "2750 kenpo-a:kenpo-a"),
    "a door of nobody's group": (DOOR, "2770 kenpo-a:nogroup"),
    "a sender's folder that it may write to": (f"{SRV}/kenpo-a", "0775 root:root"),
    "an outbox that its owner may write to": (f"{SRV}/kenpo-a/outbox", "2770 koukan:kenpo-a"),
    "a door for all": (DOOR, "2777 kenpo-a:koukan"),
    "no folder": (DOOR, "-"),
    "a link for a folder": (DOOR, "l 0777 root:root"),
    "a file for a folder": (DOOR, "- 06"),
    "a folder above that others may write to": ("/srv", "0777 root:root"),
    "exchange elsewhere": ("exchange", "/tmp"),
    "no user koukan": ("account koukan", "-"),
    "no account": ("account kenpo-a", "-"),
    "another uid": ("account kenpo-a", "3099:3099 /usr/sbin/nologin koukan-sftp"),
    "a shell": ("account kenpo-a", "3001:3001 /bin/bash koukan-sftp"),
    "not in the group": ("account kenpo-a", "3001:3001 /usr/sbin/nologin -"),
    "no group": ("account kenpo-a", "3001:3001 /usr/sbin/nologin -"),
    "no key": (f"{SSH}/koukan-keys/kenpo-a", "-"),
    "another key": (f"{SSH}/koukan-keys/kenpo-a", "SHA256:"),
    "a key of one who has none": (f"{SSH}/koukan-keys/kenpo-b", "SHA256:"),
    "a key of a stranger": (f"{SSH}/koukan-keys/root", "SHA256:"),
    "no rules": (f"{SSH}/sshd_config.d/10-koukan.conf", "-"),
    "other rules": (f"{SSH}/sshd_config.d/10-koukan.conf", "SHA256:"),
    "no bounds": ("/etc/security/limits.d/koukan-sftp.conf", "-"),
    "rules before ours": (f"{SSH}/sshd_config.d/00-site.conf", "chrootdirectory"),
    "rules before the others": (f"{SSH}/sshd_config", "ciphers"),
    "no rules read": (f"{SSH}/sshd_config", "-"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `applied_sftp.py` says of a site in which one of the senders has a key."""
    sftp_support.sshd()
    for program in ("systemd-sysusers", "systemd-tmpfiles"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (apt-get install systemd)")
    folder = tmp_path_factory.mktemp("applied")
    place = Place(folder / "root", folder / "batch.key")
    place.root.mkdir()
    _, public = sftp_support.key_pair(folder)
    text = site_toml()
    for number, name in enumerate(("kenpo-a", "kenpo-b"), start=3001):
        own = f"\nuid = {number}"
        own += f'\nssh_keys = ["{public}"]' if name == "kenpo-a" else ""
        text = text.replace(f'name = "{name}"', f'name = "{name}"{own}', 1)
    place.write_site(text)
    config = folder / "config"
    assert main(("sftp", "config", "--root", str(place.root), "--output", str(config))) == Exit.DONE
    (folder / "work").mkdir()
    before = [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "group", "shadow")]
    script = str(Path(__file__).with_name("applied_sftp.py"))
    arguments = (str(place.root), str(config), str(folder / "work"))
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, script, *arguments],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(nights.PATHS)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "group", "shadow")] == before
    return json.loads(done.stdout)


@pytest.mark.requirement("R207")
def test_applied_twice_everything_is_as_it_has_to_be(found: Any) -> None:
    paths = {path for path, _, _ in found["before"]}
    assert {"account koukan", "account kenpo-a", f"{SSH}/koukan-keys/kenpo-a", DOOR} <= paths
    assert found["applied"] == []
    sender, administrator = found["sshd"]["kenpo-a"], found["sshd"]["root"]
    assert sender["chrootdirectory"] == f"{SRV}/%u"
    assert re.match("internal-sftp -p ", sender["forcecommand"])
    for name in ("passwordauthentication", "kbdinteractiveauthentication", "permittty"):
        assert sender[name] == "no"
    assert sender["authorizedkeyscommand"] == "none"
    assert sender["authorizedkeysfile"] == f"{SSH}/koukan-keys/%u"
    assert administrator["chrootdirectory"] == administrator["forcecommand"] == "none"


def test_each_thing_that_is_not_as_it_has_to_be_is_named(found: Any) -> None:
    assert {*TOLD, *found["harmless"]} == set(found["damages"])
    for name, (path, there) in TOLD.items():
        said = found["damages"][name]
        assert any(
            where == path and (what == there or (there != "-" and what.startswith(there)))
            for where, what, _ in said
        ), (name, said)
        assert all(what != wanted for _, what, wanted in said)
    for name in found["harmless"]:
        assert found["damages"][name] == [], name
