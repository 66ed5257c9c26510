"""Formats as data: what is agreed with others, read from `formats/*.toml`."""

from koukan.formats.bundle import Bundle, bundle, thaw
from koukan.formats.cross import gaps
from koukan.formats.load import load_catalogue, require_catalogue
from koukan.formats.model import Catalogue, Check, CodeList, Field, Format, Policy, Reason, Record
from koukan.formats.policy import Policies
from koukan.formats.problems import Problem

__all__ = [
    "Bundle",
    "Catalogue",
    "Check",
    "CodeList",
    "Field",
    "Format",
    "Policies",
    "Policy",
    "Problem",
    "Reason",
    "Record",
    "bundle",
    "gaps",
    "load_catalogue",
    "require_catalogue",
    "thaw",
]
