"""How files come in and go out: inboxes and outboxes, and the folder where approvals are signed."""

from koukan.exchange.approvals import ApprovalFolder
from koukan.exchange.folder import Arrival, Inbox, Outbox

__all__ = ["ApprovalFolder", "Arrival", "Inbox", "Outbox"]
