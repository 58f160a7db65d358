"""Room for the run: containers' limits, file systems, what is fetched already."""

from pathlib import Path

import pytest

from grpo_job.inputs import base_model, sample
from grpo_job.planner.shapes import ModelShape
from grpo_job.preflight import resources
from grpo_job.preflight.findings import Finding
from grpo_job.settings.schema import Settings

BASE = base_model.fetch("sample", None)
SHAPE = ModelShape.from_config(BASE.config())
GB = 10**9


def limits(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> float:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(resources, "CGROUP", folder)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 50 * GB}))
    return resources.available_memory()


def test_a_containers_limit_counts_and_its_page_cache_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "memory.max": f"{8 * GB}\n",
        "memory.current": f"{5 * GB}\n",
        "memory.stat": f"anon {3 * GB}\ninactive_file {2 * GB}",
    }
    assert limits(tmp_path, files, monkeypatch) == 5 * GB


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"memory/memory.limit_in_bytes": f"{8 * GB}", "memory/memory.usage_in_bytes": f"{2 * GB}"}
    assert limits(tmp_path, files, monkeypatch) == 6 * GB


@pytest.mark.parametrize("files", [{}, {"memory.max": "max\n", "memory.current": "5"}])
def test_without_a_limit_the_hosts_memory_counts(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits(tmp_path, files, monkeypatch) == 50 * GB


@pytest.mark.parametrize(("kind", "told"), [("overlay", 1), ("ext4", 0)])
def test_outputs_on_a_containers_own_disk_are_told(
    kind: str, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = type("Disk", (), {"mountpoint": "/", "fstype": kind})
    monkeypatch.setattr("psutil.disk_partitions", lambda all: [root])
    found = list(resources.findings(BASE, SHAPE, Settings(output_dir="/outputs-that-are-not-mounted"), 0))
    warned = [finding for finding in found if finding.name == "outputs"]
    assert [finding.status for finding in warned] == ["warned"] * told
    assert all("/outputs-that-are-not-mounted" in finding.sentence for finding in warned)
    assert all("adapter too, because nothing is published or mirrored" in finding.sentence for finding in warned)
    published = Settings(output_dir="/outputs-that-are-not-mounted", publish_to="file:///elsewhere")
    found = [each for each in resources.findings(BASE, SHAPE, published, 0) if each.name == "outputs"]
    assert [each.sentence.endswith("will be lost with it: mount a volume there") for each in found] == [True] * told


def test_folders_on_one_disk_share_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "free_bytes", lambda folder: 2.0 * GB)
    settings = Settings(output_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    disk = [finding for finding in resources.findings(BASE, SHAPE, settings, 1) if finding.name == "disk"]
    assert [finding.status for finding in disk] == ["failed"]
    assert "GRPO_OUTPUT_DIR" in disk[0].sentence
    assert "GRPO_CACHE_DIR" in disk[0].sentence


def test_more_checkpoints_need_more_room() -> None:
    few = resources.needs(BASE, SHAPE, Settings(save_total_limit=1), 0)
    many = resources.needs(BASE, SHAPE, Settings(save_total_limit=30), 0)
    assert next(iter(many.values()))[1] > 5 * next(iter(few.values()))[1] / 3


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = Settings(output_dir=str(tmp_path / "a" / "b"))
    found = list(resources.findings(BASE, SHAPE, settings, 0))
    assert all(finding.status == "passed" for finding in found)
    assert list(tmp_path.iterdir()) == []


def test_on_the_cpu_the_logits_of_a_large_batch_are_counted() -> None:
    large = ModelShape.from_config({**BASE.config(), "vocab_size": 151_936})
    needed = resources.memory_needed(large, Settings(per_device_train_batch_size=64, max_completion_length=200), 0)
    assert needed > 19 * GB


def test_shared_memory_is_not_asked_for_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "shm_bytes", lambda: 0)
    assert Finding("passed", "shared memory", "not needed on CPU") in list(
        resources.findings(BASE, SHAPE, Settings(), 0)
    )


def test_the_sample_is_fetched_already() -> None:
    assert BASE.folder == sample.MODEL
    assert all(variable != "HF_HOME" for variable, _ in resources.needs(BASE, SHAPE, Settings(), 0).values())
