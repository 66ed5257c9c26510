"""Find rows of the vault by their tokens. Pure."""

from __future__ import annotations

import numpy as np
import polars as pl

TOKEN = ("token_hi", "token_lo", "link_number")  # what is read of a row of the vault


def linked(asked: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Who has which of the tokens that are asked for.

    Files of the vault are sorted by token, and hardly ever have two of them one first half: then
    each is searched for: with a vault of 30 million that takes a fifth less of CPU than a join.

    Args:
        asked: `row`, `token_hi`, `token_lo`; in any order, with repetitions.
        held: TOKEN.

    Returns:
        `row` and `link_number`, in no order; none of a token that is not held.
    """
    keys = held["token_hi"].to_numpy()
    if not len(keys) or not np.all(keys[1:] > keys[:-1]):
        both = ["token_hi", "token_lo"]
        return asked.join(held, on=both, how="inner").select("row", "link_number")
    wanted = asked["token_hi"].to_numpy()
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    same = keys[place] == wanted
    same &= held["token_lo"].to_numpy()[place] == asked["token_lo"].to_numpy()
    links = held["link_number"].to_numpy()[place[same]]
    return pl.DataFrame({"row": asked["row"].to_numpy()[same], "link_number": links})
