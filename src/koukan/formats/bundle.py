"""A format with the code lists that it uses, frozen under one hash.

A reception is read by the definition that was valid when it came, today and in a rerun; so the
bundle is kept by its hash, and `thaw` gives it back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from koukan.formats.model import Catalogue, Check, CodeList, Format


@dataclass(frozen=True)
class Bundle:
    """All that reading a file of this format needs."""

    form: Format
    codes: dict[str, CodeList]
    digest: str  # SHA-256 of `content`
    content: bytes  # canonical JSON


def bundle(catalogue: Catalogue, name: str, on: str | None = None) -> Bundle:
    """Freeze a format of the catalogue.

    Args:
        on: a day (YYYYMMDD); checks that do not hold on it are left out. None: all are kept.
    """
    form = catalogue.formats[name]
    if on is not None:
        form = _on(form, on)
    used = sorted({item.codes for item in form.all_fields if item.codes})
    whole = {
        "format": form.model_dump(mode="json"),
        "codes": {code: catalogue.codes[code].model_dump(mode="json") for code in used},
    }
    content = json.dumps(whole, ensure_ascii=False, sort_keys=True).encode()
    return thaw(content)


def _on(form: Format, day: str) -> Format:
    def valid(checks: tuple[Check, ...]) -> dict[str, tuple[Check, ...]]:
        return {"checks": tuple(check for check in checks if check.valid_on(day))}

    records = tuple(record.model_copy(update=valid(record.checks)) for record in form.records)
    return form.model_copy(update={"records": records, **valid(form.checks)})


def thaw(content: bytes) -> Bundle:
    """The bundle that was frozen into `content`."""
    whole = json.loads(content)
    return Bundle(
        form=Format.model_validate(whole["format"]),
        codes={name: CodeList.model_validate(value) for name, value in whole["codes"].items()},
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
    )
