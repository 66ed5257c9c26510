"""The ledger: which receptions there are, how far each is, and what was counted."""

from koukan.ledger import asking, withholding  # noqa: F401 - its tables belong to the schema
from koukan.ledger.store import Counts, Group, Ledger, Reception, TableVersion
from koukan.ledger.withdrawals import withdrawals  # its table is one of the ledger's

__all__ = ["Counts", "Group", "Ledger", "Reception", "TableVersion", "withdrawals"]
