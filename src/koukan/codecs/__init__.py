"""Bytes in, strings out, and back: gate, text, records. Pure, columnar, bounded."""
