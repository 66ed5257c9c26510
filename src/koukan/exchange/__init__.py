"""How files come in and go out: inboxes and outboxes, and the folder where approvals are signed."""

from koukan.exchange.approvals import ApprovalFolder
from koukan.exchange.folder import Arrival, Inbox, Look, Outbox
from koukan.exchange.marker import AT_DOOR

__all__ = ["AT_DOOR", "ApprovalFolder", "Arrival", "Inbox", "Look", "Outbox"]
