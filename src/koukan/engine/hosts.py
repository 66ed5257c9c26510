"""Partners' hosts: whom a step goes to, and what is noted when one cannot be served.

A host that fails stands in nobody's way: the step goes on with the others, `koukan status` tells of
it, and the next run tries again. Only what shows that bytes were altered stops the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from koukan.engine import faults
from koukan.engine.centre import Centre
from koukan.errors import IntegrityError, KoukanError, SecretError
from koukan.keys.identity import read_key_file
from koukan.ledger import hosts
from koukan.ledger.hosts import HostFault
from koukan.sites import Sender
from koukan.sites.model import Host

if TYPE_CHECKING:
    from koukan.exchange.sftp import Remote

LARGEST_KEY = 16 * 1024  # bytes of a private key's file
CONNECT = "connect"  # stands for the step where there was no session
ALONE = timedelta(minutes=4)  # a host that could not be reached is left alone between two looks


@dataclass(frozen=True)
class Visit:
    """A session at a partner's host."""

    centre: Centre
    sender: Sender
    host: Host
    remote: Remote


def partners(centre: Centre) -> list[tuple[Sender, Host]]:
    """Those to whom we go."""
    return [(sender, sender.host) for sender in centre.site.senders if sender.host is not None]


def fault_of(centre: Centre, sender: Sender, step: str) -> HostFault | None:
    """What stands noted."""
    found = hosts.host_faults_of(centre.ledger)
    return next((item for item in found if (item.sender, item.step) == (sender.name, step)), None)


def left_alone(centre: Centre, sender: Sender) -> bool:
    """Whether it could not be reached just now: a tick each minute must not knock each time."""
    fault = fault_of(centre, sender, CONNECT)
    return fault is not None and centre.clock() - datetime.fromisoformat(fault.at) < ALONE


@contextmanager
def session(centre: Centre, sender: Sender, host: Host) -> Iterator[Remote]:
    """Connected to a partner's host. Raises what `koukan.exchange.sftp.connected` does."""
    # Late: paramiko is a tenth of what starting a command takes, and few sites go to anybody.
    from koukan.exchange.sftp import PAUSES, Address, client_key, connected

    if centre.sftp_key is None:
        raise SecretError("exchange.no_key_given", sender=sender.name)
    content = read_key_file(centre.sftp_key, outside=centre.root, largest=LARGEST_KEY)
    key = client_key(content, centre.sftp_key.name)
    address = Address(sender.name, host.address, host.port, host.user, host.host_keys, host.seconds)
    # Who failed in the run before is asked once: patience is for what only just broke.
    pauses = () if fault_of(centre, sender, CONNECT) else PAUSES
    with connected(address, key, pauses) as remote:
        yield remote


def serve(
    centre: Centre, step: str, sender: Sender, host: Host, action: Callable[[Visit], None]
) -> None:
    """Do it there; what fails is noted of this partner, and nothing more comes of it.

    Raises:
        IntegrityError: what was transferred is not what it was.
    """
    reached = False
    try:
        with session(centre, sender, host) as remote:
            reached = True
            forget(centre, sender, CONNECT)
            action(Visit(centre, sender, host, remote))
    except Exception as error:
        found = faults.foreseen(error, centre.root)
        if found is None or isinstance(found, IntegrityError):
            raise
        note(centre, step if reached else CONNECT, sender, found)
        return
    forget(centre, sender, step)


def note(centre: Centre, step: str, sender: Sender, error: KoukanError) -> None:
    """Ledger and operation log know of it."""
    now = centre.now()
    where = (sender.name, step)
    fault = HostFault(*where, now, now, int(error.exit_code), error.key, error.where)
    with (
        centre.log.operation("host_failed", step=step, sender=sender.name, code=error.key),
        centre.ledger.begin() as transaction,
    ):
        hosts.put_host_fault(transaction, fault)


def forget(centre: Centre, sender: Sender, step: str) -> None:
    """It went well."""
    fault = fault_of(centre, sender, step)
    if fault is not None:
        with centre.ledger.begin() as transaction:
            hosts.forget_host_fault(transaction, fault)
