"""The ledger: which receptions there are, how far each is, and what was counted."""

# Their tables belong to the schema.
from koukan.ledger import (  # noqa: F401
    asking,
    code_lists,
    codes,
    copies,
    hosts,
    laid_packages,
    looks,
    online,
    served_schema,
    usage,
    withdrawals,
    withholding,
)
from koukan.ledger.groups import Group, TableVersion
from koukan.ledger.receptions import Counts, Reception
from koukan.ledger.store import Ledger

__all__ = ["Counts", "Group", "Ledger", "Reception", "TableVersion"]
