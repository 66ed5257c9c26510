"""What all tests share: where their files lie, which requirements they show, and the definitions.

KOUKAN_TEST_LONG=1 gives property tests many more examples.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from koukan.formats import Catalogue, require_catalogue
from koukan.shipped import formats_folder

pytest_plugins = ["memory_plugin", "requirements_plugin"]

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
settings.register_profile(
    "koukan",
    derandomize=True,  # the same examples in every run: a failure is never a matter of luck
    database=None,
    deadline=None,  # no timed asserts
    max_examples=1_000 if LONG else 60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("koukan")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The definitions that come with koukan."""
    return require_catalogue(formats_folder())


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether property tests have time."""
    return LONG


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write expected golden files anew")
