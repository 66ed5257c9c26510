"""Formats as data: what is agreed with others, read from `formats/*.toml`."""

from koukan.formats.bundle import Bundle, bundle, thaw
from koukan.formats.load import load_catalogue, require_catalogue
from koukan.formats.model import Catalogue, Check, CodeList, Field, Format, Reason, Record

__all__ = [
    "Bundle",
    "Catalogue",
    "Check",
    "CodeList",
    "Field",
    "Format",
    "Reason",
    "Record",
    "bundle",
    "load_catalogue",
    "require_catalogue",
    "thaw",
]
