"""公費負担者番号: which welfare office gets the lines of a 資格確認実績ログ that name one."""

from __future__ import annotations

from koukan.formats.load import Problems
from koukan.formats.model import Catalogue
from koukan.formats.problems import listed
from koukan.sites.model import Site

EXTRACT = "usage_extract"  # the format of what an office gets


def kinds(catalogue: Catalogue) -> frozenset[str]:
    """The kinds of insurers that lines may go to: those of the extract's records."""
    form = catalogue.formats[EXTRACT]
    return frozenset(kind for record in form.records for kind in record.kinds)


def payers(site: Site, catalogue: Catalogue) -> dict[int, str]:
    """公費負担者番号 -> 保険者コード of its office, whose own code it is where it names none."""
    allowed = kinds(catalogue)
    return {
        int(payer): insurer.code
        for insurer in site.insurers
        if insurer.kind in allowed
        for payer in insurer.payers or (insurer.code,)
    }


def check_payers(problems: Problems, file: str, site: Site, catalogue: Catalogue) -> None:
    """Each is of one office alone, and of nobody who gets no lines."""
    fitting = kinds(catalogue)
    seen = set[str]()
    for insurer in site.insurers:
        place = f"insurer[{insurer.code}].payers"
        if insurer.kind not in fitting:
            if insurer.payers:
                where = {"key": insurer.kind, "known": listed(fitting)}
                problems.add(file, place, "definitions.payers_of_whom", **where)
            continue
        for payer in insurer.payers or (insurer.code,):
            if payer in seen:
                where = {"field": "[[insurer]] payers", "known": payer}
                problems.add(file, place, "definitions.twice", **where)
            seen.add(payer)
