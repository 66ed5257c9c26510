"""消去証明書: what was erased, as a page that prints on A4 and can be checked by anybody.

Source: R205, certificates of erasure (消去証明書) are to be had. The page has counts and hashes of
the signed records, no value of what is gone. The same records give the same bytes on the same day.
"""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from koukan import words
from koukan.reports.erasures import Erasure

NAMESPACE = "koukan-certificate"  # of the signature beside the page
TEMPLATE = "certificate.html"


def certificate(
    found: Sequence[Erasure], *, issued: str, actor: str, key: str, file: str, language: str
) -> bytes:
    """The page, in UTF-8.

    Args:
        issued: day in JST.
        actor: by which actor of the centre it was made.
        key: the centre's public key as a line of SSH.
        file: name of the page, for the command that checks it.
    """
    pages = Environment(
        loader=PackageLoader("koukan", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def say(name: str) -> str:
        return words.sentence(f"reports.certificate.{name}", language)

    page = pages.get_template(TEMPLATE).render(
        say=say,
        kind=lambda name: words.sentence(f"reports.erasure.{name}", language),
        language=language,
        records=found,
        issued=issued,
        actor=actor,
        key=key,
        file=file,
        namespace=NAMESPACE,
        total=sum(item.rows for item in found),
    )
    return f"{page}\n".encode()
