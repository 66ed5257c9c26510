"""Policies as they hold today, kept under the hash that receptions carry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from koukan import durable
from koukan.formats import Catalogue, Format, Policies, Policy
from koukan.sites import Site


def in_force(catalogue: Catalogue, site: Site, insurer: str) -> Policy:
    """What holds for an insurer today. Raises DefinitionError for one that the site lacks."""
    return site.insurer(insurer).policy.over(usual(catalogue, site))


def usual(catalogue: Catalogue, site: Site) -> Policy:
    """What holds today for an insurer that says nothing."""
    return site.policy.over(catalogue.policy)


class Book:
    """The policies of senders, frozen; one that was frozen before is the same file."""

    def __init__(self, folder: Path, catalogue: Catalogue, site: Site) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._site = site
        self._digests: dict[str, str] = {}
        self._known: dict[str, Policies] = {}

    def digest(self, sender: str) -> str:
        """Hash of what holds today for a sender's insurers."""
        if sender not in self._digests:
            found = self._today(sender)
            content = json.dumps(found.model_dump(exclude_none=True), sort_keys=True).encode()
            digest = hashlib.sha256(content).hexdigest()
            path = self._folder / f"{digest}.json"
            if not path.exists():
                durable.write(path, content)
            self._digests[sender], self._known[digest] = digest, found
        return self._digests[sender]

    def of(self, digest: str, form: Format, insurers: Collection[str]) -> Policy:
        """What counts for a file of these insurers that was judged by what has this hash.

        Without one the file came before there were policies: today's count.
        """
        if not digest:
            own = {code: in_force(self._catalogue, self._site, code) for code in insurers}
            base = usual(self._catalogue, self._site)
            return Policies(usual=base, insurers=own).of(insurers, form)
        if digest not in self._known:
            content = (self._folder / f"{digest}.json").read_bytes()
            self._known[digest] = Policies.model_validate_json(content)
        return self._known[digest].of(insurers, form)

    def _today(self, sender: str) -> Policies:
        base = usual(self._catalogue, self._site)
        own = {
            code: policy
            for code in self._site.sender(sender).insurers
            if (policy := self._site.insurer(code).policy.over(base)) != base
        }
        return Policies(usual=base, insurers=own)
