"""Is what is installed what was locked, and so tested: another version of these libraries often fails silently."""

from collections.abc import Iterator, Mapping
from importlib import metadata

from grpo_job.preflight.findings import Finding
from grpo_job.runtime.locked_versions import locked, plain_name
from grpo_job.settings.schema import Settings

# What each engine stands on. On the CPU torch is outside the lock, see README, "Develop".
ON_CPU = ("trl", "transformers", "peft")
ON_GPU = ("torch", "vllm", *ON_CPU)
MATTERS = {"unsloth": (*ON_GPU, "unsloth", "unsloth-zoo", "bitsandbytes"), "trl": ON_GPU}
MOST_SHOWN = 5


def installed() -> dict[str, str]:
    """Package -> version, of all that Python finds."""
    told = [found.metadata for found in metadata.distributions()]  # read once: each look parses the file anew
    return {plain_name(one["Name"]): one["Version"] for one in told if one and one["Name"]}


def findings(engine: str, gpu_count: int, settings: Settings) -> Iterator[Finding]:
    """One line for what the engine stands on, one for the rest."""
    there = installed()
    kind = "gpu" if gpu_count or "vllm" in there else "cpu"  # the image that trains checks on nodes without a GPU too
    lock = locked()[kind]
    matters = _that_matter(engine, gpu_count, settings)
    wrong = [told for name in matters if (told := _difference(name, lock, there))]
    name = "locked versions"
    if not wrong:
        yield Finding("passed", name, f"{', '.join(f'{package} {there[package]}' for package in matters)}")
    elif settings.allow_other_versions:
        yield Finding("warned", name, f"{'; '.join(wrong)}: untested, as GRPO_ALLOW_OTHER_VERSIONS=true allows")
    else:
        cure = f"install locks/{kind}.lock, or set GRPO_ALLOW_OTHER_VERSIONS=true"
        yield Finding("failed", name, f"{'; '.join(wrong)}: {cure}")
    rest = [told for one in lock if one not in matters and one in there and (told := _difference(one, lock, there))]
    if rest:
        more = f" and {len(rest) - MOST_SHOWN} more" if len(rest) > MOST_SHOWN else ""
        said = f"{'; '.join(rest[:MOST_SHOWN])}{more}: installing the lock makes the result repeatable"
        yield Finding("warned", "other versions", said)


def _that_matter(engine: str, gpu_count: int, settings: Settings) -> tuple[str, ...]:
    if not gpu_count:
        return ON_CPU
    needs_4bit = settings.load_in_4bit is True or "8bit" in settings.optim
    extra = ("bitsandbytes",) if needs_4bit and engine != "unsloth" else ()
    return (*MATTERS[engine], *extra)


def _difference(package: str, lock: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """`trl 1.14.2 is installed, 1.15.0 is locked`; the part behind a `+` only says how a package was built."""
    wanted, found = lock.get(package), there.get(package)
    if wanted is None or (found is not None and found.partition("+")[0] == wanted.partition("+")[0]):
        return None
    return f"{package} {found or 'none'} is installed, {wanted} is locked"
