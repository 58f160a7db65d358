"""What is known of common GPUs from their data sheets: memory, compute capability, bandwidth, arithmetic."""

import re
from typing import NamedTuple

from grpo_job.outcomes import InvalidRun

MOST_AT_ONCE = 64


class Kind(NamedTuple):
    """One kind of GPU. Memory in MiB as the driver reports it, bytes/s, and dense 16-bit FLOP/s."""

    name: str
    memory_mib: int
    capability: tuple[int, int]
    bandwidth: float
    arithmetic: float


KINDS = (
    Kind("T4", 15360, (7, 5), 0.32e12, 65e12),
    Kind("V100-32GB", 32768, (7, 0), 0.9e12, 125e12),
    Kind("A10", 23028, (8, 6), 0.6e12, 125e12),
    Kind("L4", 23034, (8, 9), 0.3e12, 121e12),
    Kind("RTX3090", 24576, (8, 6), 0.94e12, 71e12),
    Kind("RTX4090", 24564, (8, 9), 1.0e12, 165e12),
    Kind("RTX5090", 32607, (12, 0), 1.8e12, 210e12),
    Kind("A100-40GB", 40960, (8, 0), 1.55e12, 312e12),
    Kind("A40", 46068, (8, 6), 0.7e12, 150e12),
    Kind("L40S", 46068, (8, 9), 0.86e12, 362e12),
    Kind("L40", 46068, (8, 9), 0.86e12, 181e12),
    Kind("A6000", 49140, (8, 6), 0.77e12, 155e12),
    Kind("A100-80GB", 81920, (8, 0), 2.0e12, 312e12),
    Kind("H100", 81559, (9, 0), 3.35e12, 990e12),
    Kind("H200", 143771, (9, 0), 4.8e12, 990e12),
    Kind("B200", 183359, (10, 0), 8.0e12, 2250e12),
)
UNKNOWN = Kind("", 0, (8, 0), 1.0e12, 150e12)
USUAL = ("L4", "RTX4090", "A100-40GB", "L40S", "A100-80GB", "H100", "H200", "B200")


def speed(driver_name: str) -> Kind:
    """The kind of a GPU by the name that its driver gives it; average speeds if it is not known.

    >>> speed("NVIDIA A100-SXM4-40GB").name, speed("NVIDIA L40S").name, speed("NVIDIA GeForce RTX 4090").name
    ('A100-40GB', 'L40S', 'RTX4090')
    """
    plain = _plain(driver_name)
    fitting = [kind for kind in KINDS if all(_plain(part) in plain for part in kind.name.split("-"))]
    model = [kind for kind in KINDS if _plain(kind.name.split("-")[0]) in plain]
    return max(fitting or model, key=lambda kind: (len(kind.name), kind.bandwidth), default=UNKNOWN)


def wanted(word: str) -> tuple[int, Kind]:
    """What a person asks for: number and kind. Raises `InvalidRun` for one that is not known.

    >>> [(number, kind.name) for number, kind in map(wanted, ("h100", "2xL4", "A100:8", "a100 40g", "RTX 4090"))]
    [(1, 'H100'), (2, 'L4'), (8, 'A100-80GB'), (1, 'A100-40GB'), (1, 'RTX4090')]
    """
    parts = re.fullmatch(r"(?:(\d+)\s*[x×*]\s*)?(.+?)(?:\s*[:*×x]\s*(\d\d?))?", word.strip(), re.IGNORECASE)
    before, named, after = parts.groups() if parts else (None, word, None)
    number, model = int(before or after or 1), re.sub(r"NVIDIA|TESLA|GEFORCE|RTX|SXM\d?|PCIE", "", _plain(named))
    # Of two sizes the larger one, where none is said.
    kind = next((one for one in reversed(KINDS) if re.fullmatch(_spellings(one), model)), None)
    if kind is None or not 1 <= number <= MOST_AT_ONCE:
        raise InvalidRun(
            f"--gpu {word}: no such GPU is known; allowed: {', '.join(kind.name for kind in KINDS)}, with a number in "
            f"front for several (2xH100), at most {MOST_AT_ONCE}"
        )
    return number, kind


def _spellings(kind: Kind) -> str:
    """A pattern of what people call it, with or without its memory: `A100`, `A10040G`, `A10040GB`."""
    model, _, memory = kind.name.removeprefix("RTX").partition("-")
    return f"{model}G?({memory.removesuffix('GB') or r'[1-9][0-9]{1,2}'}(GB?)?)?"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())
