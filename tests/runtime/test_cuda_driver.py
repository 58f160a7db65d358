"""GPUs by driver branches: what CUDA 13 runs on as it is, with NVIDIA's newer libraries, and not at all."""

import subprocess
import sys

import pytest

from grpo_job.runtime import cuda_driver

DATA_CENTRE = (
    "Tesla T4", "NVIDIA T4G", "NVIDIA L4", "NVIDIA L40S", "NVIDIA A10", "NVIDIA A10G", "NVIDIA A30", "NVIDIA A40",
    "NVIDIA A100-SXM4-40GB", "NVIDIA A100 80GB PCIe", "NVIDIA A800-SXM4-80GB", "NVIDIA H100 80GB HBM3",
    "NVIDIA H100 NVL", "NVIDIA H20", "NVIDIA H200", "NVIDIA GH200 480GB", "NVIDIA B200", "GRID A100D-80C",
)  # fmt: skip
PROFESSIONAL = (
    "NVIDIA RTX A6000", "NVIDIA RTX 6000 Ada Generation", "Quadro RTX 8000",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition", "NVIDIA Graphics Device",
)  # fmt: skip
CONSUMER = (
    "NVIDIA GeForce RTX 4090", "GeForce RTX 3090", "NVIDIA GeForce RTX 5090", "NVIDIA GeForce GTX 1660 SUPER",
    "NVIDIA GeForce RTX 4090 D", "NVIDIA TITAN RTX", "TITAN V", "NVIDIA CMP 170HX",
)  # fmt: skip
NEW = ("580.65.06", "580.95", "581.57", "590.44.01", "610.57.04", "1000.1")
LISTED = ("535.54.03", "535.261.03", "550.54.15", "565.57.01", "570.195.03", "575.57.08")
UNLISTED = (
    "",
    "[N/A]",
    "390.157",
    "470.256.02",
    "525.147.05",
    "530.30.02",
    "545.23.08",
    "555.42.06",
    "560.35.03",
    "5.80",
)


@pytest.mark.parametrize("name", DATA_CENTRE + PROFESSIONAL)
def test_a_gpu_that_nvidia_supports_needs_libraries_on_the_branches_that_it_lists(name: str) -> None:
    assert {cuda_driver.support(driver, name) for driver in NEW} == {"as it is"}
    assert {cuda_driver.support(driver, name) for driver in LISTED} == {"with libraries"}
    for driver in UNLISTED:
        assert cuda_driver.support(driver, name) == "no"
        assert "needs 580 or newer, or one of 535, 550, 565, 570, 575" in cuda_driver.refusal(driver, name)


@pytest.mark.parametrize("name", CONSUMER)
def test_no_older_driver_runs_on_a_consumer_gpu_and_the_cure_is_a_driver_or_another_class(name: str) -> None:
    assert {cuda_driver.support(driver, name) for driver in NEW} == {"as it is"}
    for driver in LISTED + UNLISTED:
        assert cuda_driver.support(driver, name) == "no"
        said = cuda_driver.refusal(driver, name)
        assert said.startswith(f"{name} has driver {driver}")
        assert "driver 580 or newer, or one with a data-centre GPU" in said


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ("NVIDIA H100 80GB HBM3, 550.54.15\nNVIDIA H100 80GB HBM3, 550.54.15", 0, ""),
        ("NVIDIA L4, 580.95.05\nNVIDIA GeForce RTX 4090, 570.195.03", 1, "GeForce RTX 4090 has driver 570.195.03"),
    ],
)
def test_make_gpu_asks_before_it_installs(table: str, code: int, said: str) -> None:
    command = [sys.executable, "-m", "grpo_job.runtime.cuda_driver", table]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr
