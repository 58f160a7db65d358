"""Checks estimates of disk, shared memory and host memory against what is available."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from grpo_job.inputs.base_model import WANTED, BaseModel
from grpo_job.planner.shapes import GB, ModelShape
from grpo_job.preflight.findings import Finding
from grpo_job.settings.schema import Settings

SHM = Path("/dev/shm")
CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # version 1
)

KERNELS_ON_GPU = 2.5 * GB  # compiled kernels and graphs in GRPO_CACHE_DIR, measured with a cold cache
LOGS_AND_REPORT = 0.1 * GB
TOKENIZER_FILES = 0.02 * GB  # every checkpoint holds the tokenizer too
LORA_WEIGHT = 4  # bytes per parameter in an adapter
LORA_STATE = 4 + 8  # bytes per parameter in a checkpoint: fp32 weight and two moments
SPARE = 1.1  # margin: a full disk fails elsewhere

LIBRARIES_CPU = 1.0 * GB  # torch, transformers and trl on CPU, measured with the sample
LIBRARIES_GPU = 6.0 * GB  # the same for CUDA, with vLLM and Unsloth and pinned buffers
LEAST_SHM = 0.5 * GB  # a container's default is 64 MB; NCCL and data loaders exchange tensors through it


def findings(
    base: BaseModel, shape: ModelShape, settings: Settings, gpu_count: int, processes: int = 1
) -> Iterator[Finding]:
    yield from _disks(needs(base, shape, settings, gpu_count), settings)
    yield from _lasting(settings)
    yield _shared_memory(gpu_count)
    yield _host_memory(shape, settings, gpu_count, processes)


def needs(base: BaseModel, shape: ModelShape, settings: Settings, gpu_count: int) -> dict[Path, tuple[str, float]]:
    """Folder -> the variable that sets it, and the bytes that will be written there."""
    output, cache = Path(settings.output_dir).expanduser(), Path(settings.cache_dir).expanduser()
    state = shape.lora_parameters(settings.lora_rank) * LORA_STATE + TOKENIZER_FILES
    # kept checkpoints, one being written, and the adapter
    written = (settings.save_total_limit + 2) * state + LOGS_AND_REPORT
    wanted = {output.resolve(): ("GRPO_OUTPUT_DIR", written)}
    if gpu_count:
        wanted[cache.resolve()] = ("GRPO_CACHE_DIR", KERNELS_ON_GPU)
    if missing := _to_fetch(base):
        from huggingface_hub import constants

        wanted[Path(constants.HF_HUB_CACHE).resolve()] = ("HF_HOME", missing)
    return wanted


def largest_file(config: Mapping[str, Any], settings: Settings) -> int:
    """Bytes of the adapter, which is the largest file that every run sends."""
    return ModelShape.from_config(config).lora_parameters(settings.lora_rank) * LORA_WEIGHT


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of `folder`, which may not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def available_memory() -> float:
    """Bytes that this process can still use: the lower of host and container."""
    host = float(psutil.virtual_memory().available)
    for limit, usage in CGROUP_FILES:
        allowed, used = _number(CGROUP / limit), _number(CGROUP / usage)
        if allowed is not None and used is not None:
            return min(host, allowed - used + _page_cache(CGROUP / limit))
    return host


def shm_bytes() -> int:
    """Size limit of shared memory in bytes; 0 if there is none."""
    try:
        return shutil.disk_usage(SHM).total
    except OSError:
        return 0


def _disks(wanted: Mapping[Path, tuple[str, float]], settings: Settings) -> Iterator[Finding]:
    """One finding per file system, because folders may share one; a failure for each unwritable folder."""
    by_disk: dict[int, list[Path]] = {}
    for folder in wanted:
        if fault := cannot_write(folder):
            yield Finding("failed", "disk", f"{wanted[folder][0]}: {folder} cannot be written: {fault}")
        else:
            by_disk.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in by_disk.values():
        needed, free = sum(wanted[folder][1] for folder in folders) * SPARE, free_bytes(folders[0])
        parts = ", ".join(f"{wanted[folder][0]} {_size(wanted[folder][1])}" for folder in folders)
        found = f"{_size(free)} free, about {_size(needed)} needed ({parts})"
        if free < needed:
            yield Finding("failed", "disk", f"{found}: free some space, or move one of these to a larger disk")
        else:
            yield Finding("passed", "disk", found)


def _lasting(settings: Settings) -> Iterator[Finding]:
    """A warning if the run folder does not outlive the container, and what is lost with it."""
    output = Path(settings.output_dir).expanduser()
    if outlives_container(output):
        return
    found = f"GRPO_OUTPUT_DIR: {output} is on the container's disk and will be lost with it"
    if settings.publish_to or settings.checkpoint_to:
        yield Finding("warned", "outputs", f"{found}: mount a volume there")
    else:
        found += ", the trained adapter too, because nothing is published or mirrored"
        yield Finding(
            "warned", "outputs", f"{found}: mount a volume there, or set GRPO_PUBLISH_TO or GRPO_CHECKPOINT_TO"
        )


def outlives_container(path: Path) -> bool:
    """Whether what is at `path` is there when the container that this may be is gone."""
    root = next((disk.fstype for disk in psutil.disk_partitions(all=True) if disk.mountpoint == "/"), "")
    return "overlay" not in root or _existing(path).stat().st_dev != Path("/").stat().st_dev


def _shared_memory(gpu_count: int) -> Finding:
    if not gpu_count:
        return Finding("passed", "shared memory", "not needed on CPU")
    size = shm_bytes()
    if size >= LEAST_SHM:
        return Finding("passed", "shared memory", f"{SHM} has {_size(size)}")
    cure = f"{SHM} has {_size(size)}: give it {_size(LEAST_SHM)} or more (an emptyDir of medium Memory, --shm-size)"
    return Finding("failed" if gpu_count > 1 else "warned", "shared memory", cure)


def _host_memory(shape: ModelShape, settings: Settings, gpu_count: int, processes: int) -> Finding:
    needed = memory_needed(shape, settings, gpu_count, processes)
    there = available_memory()
    found = f"{_size(there)} available, about {_size(needed)} needed"
    if there < needed:
        cures = "use a container with a larger limit, a smaller model" + (
            "" if gpu_count else ", a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE"
        )
        return Finding("failed", "host memory", f"{found}: {cures}")
    return Finding("passed", "host memory", found)


def memory_needed(shape: ModelShape, settings: Settings, gpu_count: int, processes: int = 1) -> float:
    """Bytes of host memory for libraries; on CPU also two fp32 models (it is loaded back at the end) and the logits.

    The logits are shared by the processes, the rest is per process.
    """
    if gpu_count:
        return processes * LIBRARIES_GPU
    tokens = settings.per_device_train_batch_size * settings.max_completion_length
    return processes * (LIBRARIES_CPU + 2 * 4 * shape.parameters) + 2.5 * 4 * tokens * shape.vocabulary


def _to_fetch(base: BaseModel) -> float:
    """Bytes of the model that are not in the cache yet."""
    if base.commit is None or not base.files:
        return 0.0
    from huggingface_hub import try_to_load_from_cache

    suffixes = tuple(pattern.removeprefix("*") for pattern in WANTED)
    wanted = {name: size for name, size in base.files.items() if name.endswith(suffixes)}
    missing = (name for name in wanted if not try_to_load_from_cache(base.name, name, revision=base.commit))
    return float(sum(wanted[name] for name in missing))


def cannot_write(folder: Path) -> str | None:
    """Why `folder`, or its nearest existing parent, is not writable; None if it is."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"\0")
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _existing(folder: Path) -> Path:
    """The folder or its nearest existing parent."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _number(path: Path) -> float | None:
    """The number in a kernel file; None for `max` and for a missing file."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return float(text) if text.isdecimal() else None


def _page_cache(limit: Path) -> float:
    """Bytes of the container's page cache that the kernel can reclaim."""
    try:
        stat = dict(line.split() for line in (limit.parent / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 0.0
    return float(stat.get("inactive_file", stat.get("total_inactive_file", 0)))


def _size(size: float) -> str:
    return f"{size / GB:.1f} GB" if size >= 0.95 * GB else f"{size / 1e6:.0f} MB"
