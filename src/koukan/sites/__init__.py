"""What a site decides: its senders and insurers, limits, and the jobs with their schedules."""

from koukan.sites.load import job_gaps, load_jobs, load_site, require_site
from koukan.sites.model import Insurer, Job, Operation, Person, Sender, Site
from koukan.sites.publickey import PublicKey

__all__ = [
    "Insurer",
    "Job",
    "Operation",
    "Person",
    "PublicKey",
    "Sender",
    "Site",
    "job_gaps",
    "load_jobs",
    "load_site",
    "require_site",
]
