"""Are the installed versions those of the lock, which were tested: another one often fails without an error."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata

from grpo_job.preflight.findings import Finding
from grpo_job.runtime.locked_versions import locked, plain_name
from grpo_job.settings.engines import needs
from grpo_job.settings.schema import Settings

MOST_SHOWN = 5


@cache
def installed() -> dict[str, str]:
    """Package -> version of everything that is installed."""
    told = [found.metadata for found in metadata.distributions()]  # read once: each access parses the file again
    return {plain_name(one["Name"]): one["Version"] for one in told if one and one["Name"]}


def findings(engine: str, gpu_count: int, settings: Settings) -> Iterator[Finding]:
    """One line for the packages that the engine needs, one for the rest."""
    there = installed()
    kind = "gpu" if gpu_count or "vllm" in there else "cpu"  # the GPU image also runs `check` without a GPU
    lock = locked()[kind]
    matters = _that_matter(engine, gpu_count, settings)
    wrong = [told for name in matters if (told := _difference(name, lock, there))]
    name = "locked versions"
    if not wrong:
        yield Finding("passed", name, f"{', '.join(f'{package} {there[package]}' for package in matters)}")
    elif settings.allow_other_versions:
        yield Finding("warned", name, f"{'; '.join(wrong)}: untested; allowed by GRPO_ALLOW_OTHER_VERSIONS=true")
    else:
        cure = f"install locks/{kind}.lock, or set GRPO_ALLOW_OTHER_VERSIONS=true"
        yield Finding("failed", name, f"{'; '.join(wrong)}: {cure}")
    rest = [told for one in lock if one not in matters and one in there and (told := _difference(one, lock, there))]
    if rest:
        more = f" and {len(rest) - MOST_SHOWN} more" if len(rest) > MOST_SHOWN else ""
        said = f"{'; '.join(rest[:MOST_SHOWN])}{more}: install the lock to make the result reproducible"
        yield Finding("warned", "other versions", said)


def _that_matter(engine: str, gpu_count: int, settings: Settings) -> tuple[str, ...]:
    needs_bitsandbytes = gpu_count and (settings.load_in_4bit is True or "8bit" in settings.optim)
    extra = ("bitsandbytes",) if needs_bitsandbytes else ()
    return tuple(dict.fromkeys((*needs(engine, gpu_count).packages, *extra)))


def _difference(package: str, lock: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """`trl 1.14.2 is installed, 1.15.0 is locked`; the part after a `+` only says how a package was built."""
    wanted, found = lock.get(package), there.get(package)
    if wanted is None or (found is not None and found.partition("+")[0] == wanted.partition("+")[0]):
        return None
    return f"{package} {found or 'none'} is installed, {wanted} is locked"
