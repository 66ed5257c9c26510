"""Partners' hosts that cannot be served: since when, and why."""

from __future__ import annotations

from typing import Any

from koukan.errors import Exit
from koukan.ledger.hosts import HostFault, host_faults_of
from koukan.reports.source import Source, local


def standing_hosts(source: Source) -> Exit:
    """The largest exit code that they call for."""
    return max((Exit(item.exit) for item in standing_faults(source)), default=Exit.DONE)


def standing_faults(source: Source) -> list[HostFault]:
    """Of the hosts that there are: one that the site has dropped is nobody's concern."""
    known = {sender.name for sender in source.site.senders if sender.host is not None}
    return [item for item in host_faults_of(source.ledger) if item.sender in known]


def hosts(source: Source) -> list[dict[str, Any]]:
    """By partner.

    Returns:
        [{"sender", "step", "exit", "since", "last", "key", "where"}]; `since` is the first of the
        failures in a row, `step` is "connect" where there was no session.
    """
    return [
        {
            "sender": item.sender,
            "step": item.step,
            "exit": item.exit,
            "since": local(item.since),
            "last": local(item.at),
            "key": item.key,
            "where": dict(item.where),
        }
        for item in standing_faults(source)
    ]
