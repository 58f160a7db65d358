"""What nvidia-smi says, also when it says something odd."""

from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun, Unexpected
from grpo_job.runtime import machine
from grpo_job.runtime.machine import GpuSeen

H200 = "NVIDIA H200, GPU-8932f937-d72c-4106-c12f-20bd9faed9f6, 143771, 512, 580.65.06, 9.0, Disabled"
L4 = "NVIDIA L4, GPU-1d5a4b07-38f3-4b46-8d7e-5dbd3a1f7f11, 23034, 1, 580.65.06, 8.9, [N/A]"
SPLIT = "NVIDIA H100 80GB HBM3, GPU-aa11, 81559, [Insufficient Permissions], 580.65.06, 9.0, Enabled"
UNIFIED = "NVIDIA GB10, GPU-bb22, [N/A], [N/A], 580.65.06, 12.1, [N/A]"


def test_a_row_becomes_a_gpu_in_numbers() -> None:
    assert machine.parse(H200 + "\n") == [
        GpuSeen("NVIDIA H200", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", 143771, 512, "580.65.06", (9, 0))
    ]


def test_several_rows_keep_their_order() -> None:
    assert [gpu.name for gpu in machine.parse(f"{L4}\n{H200}\n")] == ["NVIDIA L4", "NVIDIA H200"]


@pytest.mark.parametrize(
    "table", ["", "\n", "No devices were found\n", "NVIDIA-SMI has failed because it couldn't ..."]
)
def test_text_that_is_no_table_holds_no_gpu(table: str) -> None:
    assert machine.parse(table) == []


def test_what_is_not_told_counts_as_zero_and_mig_is_noticed() -> None:
    split, unified = machine.parse(f"{SPLIT}\n{UNIFIED}")
    assert (split.memory_mib, split.used_mib, split.mig) == (81559, 0, True)
    assert (unified.memory_mib, unified.used_mib, unified.capability, unified.mig) == (0, 0, (12, 1), False)


@pytest.mark.parametrize(
    ("visible", "left"),
    [
        (None, ["NVIDIA L4", "NVIDIA H200"]),
        ("", []),
        ("-1", []),
        ("0", ["NVIDIA L4"]),
        ("1,0", ["NVIDIA H200", "NVIDIA L4"]),
        ("0,0", []),
        ("0,7,1", ["NVIDIA L4"]),
        ("GPU-8932f937", ["NVIDIA H200"]),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", ["NVIDIA H200"]),
        ("GPU-unknown", []),
        ("NoDevFiles", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible: str | None, left: list[str]) -> None:
    assert [gpu.name for gpu in machine.chosen(machine.parse(f"{L4}\n{H200}"), visible)] == left


def test_a_part_of_a_gpu_is_seen_as_the_gpu_it_is_of() -> None:
    assert [gpu.name for gpu in machine.chosen(machine.parse(f"{L4}\n{SPLIT}"), "MIG-5c89")] == [
        "NVIDIA H100 80GB HBM3"
    ]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi of the test's own; it is first on the path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "nvidia-smi"


def answers(nvidia_smi: Path, text: str, code: int = 0) -> None:
    nvidia_smi.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    nvidia_smi.chmod(0o755)


def test_the_gpus_are_those_that_nvidia_smi_names(nvidia_smi: Path) -> None:
    answers(nvidia_smi, f"{L4}\n{H200}")
    assert [gpu.name for gpu in machine.gpus()] == ["NVIDIA L4", "NVIDIA H200"]
    assert machine.gpus("1")[0].capability == (9, 0)


def test_without_nvidia_smi_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == []


def test_an_nvidia_smi_that_finds_no_driver_finds_no_gpu(nvidia_smi: Path) -> None:
    answers(nvidia_smi, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9)
    assert machine.gpus() == []


def test_a_gpu_of_unknown_memory_is_refused_with_the_cure_unless_it_is_not_visible(nvidia_smi: Path) -> None:
    answers(nvidia_smi, f"{UNIFIED}\n{L4}")
    with pytest.raises(InvalidRun, match=r"CUDA_VISIBLE_DEVICES: .* NVIDIA GB10; allowed: another GPU, or none"):
        machine.gpus()
    assert [gpu.name for gpu in machine.gpus("1")] == ["NVIDIA L4"]


def test_an_nvidia_smi_that_hangs_is_named(nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi.write_text("#!/bin/sh\nexec sleep 5\n")
    nvidia_smi.chmod(0o755)
    monkeypatch.setattr(machine, "LONGEST_ANSWER_SECONDS", 0.1)
    with pytest.raises(Unexpected, match="nvidia-smi did not answer"):
        machine.gpus()


def test_the_environment_file_has_versions_and_gpus() -> None:
    described = machine.describe(machine.parse(H200))
    assert described["gpus"][0]["name"] == "NVIDIA H200"
    assert {"python", "transformers", "trl"} <= set(described["versions"])
    assert "vllm" not in described["versions"] or described["versions"]["vllm"]


def test_nvidia_smi_is_asked_for_as_many_fields_as_a_row_is_read_with() -> None:
    assert len(machine.FIELDS.split(",")) == len(GpuSeen._fields) == len(H200.split(","))


@pytest.mark.parametrize(
    ("inside", "parent", "it_is"), [(True, 1, True), (True, 77, False), (False, 1, False), (False, 77, False)]
)
def test_the_command_of_a_container_is_told_from_one_that_is_typed_in_it(
    inside: bool, parent: int, it_is: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CONTAINER_FILES", ())
    monkeypatch.setattr("os.getppid", lambda: parent)
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"} if inside else {}
    assert machine.is_command_of_container(environment) == it_is
