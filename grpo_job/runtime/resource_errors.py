"""Recognizes errors of a full or read-only disk and of exhausted memory, and tells the fix."""

import errno
import os
import resource
from pathlib import Path
from tempfile import TemporaryFile

from grpo_job.outcomes import causes

CURES = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: mount it writable",
    errno.EACCES: "the permission to write was lost: restore it for the job's user",
    errno.EPERM: "the permission to write was lost: restore it for the job's user",
    errno.EIO: "the disk is failing: replace it",
    errno.ESTALE: "the volume was lost: mount it again",
    errno.EFBIG: "the limit on the size of a file is reached: raise it (`ulimit -f unlimited`)",
}
# What torch and safetensors raise instead of an OSError.
WORDS = {
    "no space left": errno.ENOSPC,
    "disk quota exceeded": errno.EDQUOT,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
    "input/output error": errno.EIO,
    "stale file handle": errno.ESTALE,
    "file too large": errno.EFBIG,
}
WRITER_FAILED = ("pytorchstreamwriter failed", "file write failed", "iostream error", "inline_container.cc")
ROOM_TO_WRITE = 1 << 20


def disk_trouble(error: BaseException, folder: Path) -> str | None:
    """What is wrong with the disk of `folder` and how to fix it; None if `error` has another cause."""
    for cause in causes(error):
        cure = CURES.get(_number(cause, folder) or 0)
        if cure:
            said = " ".join(str(cause).split())[:200]
            return f"{_place(cause, folder)} cannot be written any more ({said}): {cure} and run the same command again"
    return None


def in_the_way(error: BaseException, folder: Path) -> str | None:
    """The sentence if a folder is in the place of a file of the run folder, or the reverse; None if `error` is other.

    What the job finds when it starts is refused by `RunFolder.open`; this is for what is deeper, or came later.
    """
    for cause in causes(error):
        if isinstance(cause, IsADirectoryError | NotADirectoryError | FileExistsError):
            path = Path(os.fsdecode(cause.filename)) if isinstance(cause.filename, str | bytes) else None
            if path and path.is_relative_to(folder):
                return f"{path} is in the way ({cause.strerror}): move it away, and run the same command again"
    return None


def _place(error: BaseException, folder: Path) -> Path:
    """What could not be written: the file that the error names if it is elsewhere, else the run folder."""
    named = getattr(error, "filename", None)
    path = Path(named) if isinstance(named, str) else folder
    return path if path.is_absolute() and not path.is_relative_to(folder) else folder


def _number(error: BaseException, folder: Path) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    text = str(error).lower()
    number = next((number for words, number in WORDS.items() if words in text), None)
    if number is None and any(words in text for words in WRITER_FAILED):
        limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
        return _refused_now(folder) or (errno.EFBIG if limited else None)
    return number


def _refused_now(folder: Path) -> int | None:
    """The number of the error that writing there raises now: a quota leaves the disk free space."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_TO_WRITE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


MEMORY_KINDS = ("OutOfMemoryError", "MemoryError")
# What errors of other types in PyTorch, CUDA and vLLM say.
MEMORY_WORDS = (
    "out of memory",
    "no available memory for the cache blocks",
    "less than desired gpu memory utilization",
    "larger than the available kv cache memory",
    "cublas_status_alloc_failed",
    "can't allocate memory",
    "failed to map segment from shared object",  # of a library that is imported
)


def memory_trouble(error: BaseException) -> str | None:
    """The message of an error of exhausted memory, on one line; None if `error` has another cause."""
    for cause in causes(error):
        text = str(cause)
        if type(cause).__name__ in MEMORY_KINDS or any(words in text.lower() for words in MEMORY_WORDS):
            return " ".join(f"{type(cause).__name__}: {text}".split())[:300]
    return None
