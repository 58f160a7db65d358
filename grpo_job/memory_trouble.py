"""Tells running out of memory from other failures, whoever says so. Pure."""

from grpo_job.failures import causes

KINDS = ("OutOfMemoryError", "MemoryError")
# What PyTorch, CUDA and vLLM say in errors of other kinds.
WORDS = (
    "out of memory",
    "no available memory for the cache blocks",
    "less than desired gpu memory utilization",
    "larger than the available kv cache memory",
    "cublas_status_alloc_failed",
    "can't allocate memory",
)


def memory_trouble(error: BaseException) -> str | None:
    """What ran out of memory, in its own words on one line; None where `error` tells of something else."""
    for cause in causes(error):
        text = str(cause)
        if type(cause).__name__ in KINDS or any(words in text.lower() for words in WORDS):
            return " ".join(f"{type(cause).__name__}: {text}".split())[:300]
    return None
