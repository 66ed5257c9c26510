"""One module for each command or small family; `COMMANDS` in each says what it holds.

Everything heavy (polars, the ledger, the tables) is imported inside the commands, so that help and
complaints come at once.
"""
