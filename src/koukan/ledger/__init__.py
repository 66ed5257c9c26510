"""The ledger: which receptions there are, how far each is, and what was counted."""

# Their tables belong to the schema.
from koukan.ledger import asking, looks, withdrawals, withholding  # noqa: F401
from koukan.ledger import pmh_schema as pmh_schema  # its tables are the ledger's, too
from koukan.ledger.store import Counts, Group, Ledger, Reception, TableVersion

__all__ = ["Counts", "Group", "Ledger", "Reception", "TableVersion"]
