"""The licence of the base model, and what it means for an adapter. Not legal advice."""

import re

from grpo_job.inputs.base_model import BaseModel
from grpo_job.preflight.findings import Finding

# Models whose licence is known by name: the cards of copies do not always state it.
RESEARCH = re.compile(r"qwen2\.5-(\w+-)?3b", re.IGNORECASE)
RESEARCH_NAME = "the Qwen Research licence"
ALTERNATIVE = "Qwen/Qwen2.5-1.5B-Instruct and Qwen/Qwen2.5-7B-Instruct are under Apache-2.0"
PERMISSIVE = ("apache-2.0", "mit", "bsd", "cc0-1.0", "cc-by-4.0", "isc", "unlicense", "zlib")
NO_BUSINESS = re.compile(r"(^|-)nc(-|$)|non-?commercial|research", re.IGNORECASE)


def finding(base: BaseModel) -> Finding:
    """The licence; a warning if a user should read it."""
    stated = base.licence.get("license_name") or base.licence.get("license", "")
    if RESEARCH.search(base.name):
        return _no_business(base, RESEARCH_NAME)
    if NO_BUSINESS.search(stated):
        return _no_business(base, stated)
    if stated.lower().startswith(PERMISSIVE):
        return Finding("passed", "licence", f"{base.name}: {stated}")
    if base.commit is None:
        return Finding("passed", "licence", f"{base.name} is a local folder, which states no licence")
    if not base.licence:
        message = f"{base.name} states no licence: ask its owner before you publish; {ALTERNATIVE}"
        return Finding("warned", "licence", message)
    link = base.licence.get("license_link") or "see its page"
    message = f"{base.name} has a custom licence, {stated} ({link}): read it before you publish; {ALTERNATIVE}"
    return Finding("warned", "licence", message)


def _no_business(base: BaseModel, licence: str) -> Finding:
    message = f"{base.name} is under {licence}: no commercial use, also of adapters; {ALTERNATIVE}"
    return Finding("warned", "licence", message)
