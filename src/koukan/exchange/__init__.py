"""How files come in and go out: inboxes and outboxes."""

from koukan.exchange.folder import Arrival, Inbox, Outbox

__all__ = ["Arrival", "Inbox", "Outbox"]
