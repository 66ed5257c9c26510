"""Tables: encrypted Parquet files that one Delta log makes visible.

The only module that knows Parquet modular encryption and the Delta log. See `table.Table`.
"""
