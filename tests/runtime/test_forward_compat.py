"""Small libraries stand for libcuda.so.1: the driver's own and the one of cuda-compat, tried by real processes."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.runtime import forward_compat, process_exit
from grpo_job.runtime.machine import GpuSeen

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
SOURCE = (
    "int cuInit(unsigned flags) {{ return {code}; }}\nint cuDriverGetVersion(int *v) {{ *v = {version}; return 0; }}\n"
)
Libcuda = Callable[..., str]


def gpu(driver: str, name: str = "NVIDIA H100 80GB HBM3") -> GpuSeen:
    return GpuSeen(name, "GPU-1", 81559, 1, driver, (9, 0))


@pytest.fixture
def libcuda(tmp_path: Path) -> Libcuda:
    """Makes a folder with a libcuda.so.1 that answers with this code and version."""

    def make(name: str, version: int, code: int = 0) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cuda.c").write_text(SOURCE.format(code=code, version=version))
        library = str(folder / "libcuda.so.1")
        subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", library, str(folder / "cuda.c")], check=True)
        return str(folder)

    return make


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The LD_LIBRARY_PATH of each restart that was asked for."""
    seen: list[str] = []
    monkeypatch.setattr(process_exit, "restart", lambda reason, variables: seen.append(variables["LD_LIBRARY_PATH"]))
    monkeypatch.setattr(forward_compat, "FOLDERS", ())
    return seen


def test_an_older_driver_of_a_data_centre_gpu_gets_the_libraries_in_front(
    libcuda: Libcuda, restarts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, newer = libcuda("own", 12040), libcuda("newer", 13000)
    monkeypatch.setattr(forward_compat, "FOLDERS", ("/nowhere", newer))
    forward_compat.restart_if_needed([gpu("550.54.15")], {"LD_LIBRARY_PATH": own})
    assert restarts == [f"{newer}:{own}"]
    assert forward_compat.fault({"LD_LIBRARY_PATH": f"{newer}:{own}"}) == ""
    assert forward_compat.fault({"LD_LIBRARY_PATH": own}) == f"{newer} is not in LD_LIBRARY_PATH"


@pytest.mark.parametrize(
    ("driver", "name"),
    [("580.65.06", "NVIDIA H100"), ("550.54.15", "NVIDIA GeForce RTX 4090"), ("560.35.03", "NVIDIA H100")],
)
def test_no_other_driver_does(
    driver: str, name: str, libcuda: Libcuda, restarts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, newer = libcuda("own", 12040), libcuda("newer", 13000)
    monkeypatch.setattr(forward_compat, "FOLDERS", (newer,))
    forward_compat.restart_if_needed([gpu(driver, name)], {"LD_LIBRARY_PATH": own})
    assert restarts == []


def test_nothing_happens_a_second_time_or_where_the_container_runtime_did_it(
    libcuda: Libcuda, restarts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = libcuda("newer", 13000)
    monkeypatch.setattr(forward_compat, "FOLDERS", (newer,))
    forward_compat.restart_if_needed([gpu("570.195.03")], {"LD_LIBRARY_PATH": newer})
    monkeypatch.setattr(forward_compat, "FOLDERS", (libcuda("another", 13000),))
    forward_compat.restart_if_needed([gpu("570.195.03")], {"LD_LIBRARY_PATH": newer})
    assert restarts == []


@pytest.mark.parametrize(
    ("code", "version", "said"),
    [
        (804, 13000, "they do not support this GPU (cuInit: 804)"),
        (803, 13000, "cuInit ended with error 803"),
        (0, 12080, "libcuda.so.1 is of CUDA 12.8"),
    ],
)
def test_libraries_that_do_not_work_stay_behind_and_say_why(
    code: int, version: int, said: str, libcuda: Libcuda, restarts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, newer = libcuda("own", 12040), libcuda("newer", version, code)
    monkeypatch.setattr(forward_compat, "FOLDERS", (newer,))
    forward_compat.restart_if_needed([gpu("550.54.15", "NVIDIA RTX A6000")], {"LD_LIBRARY_PATH": own})
    assert restarts == []
    assert forward_compat.fault({"LD_LIBRARY_PATH": own}) == said


def test_without_the_package_the_drivers_own_library_is_named(
    libcuda: Libcuda, restarts: list[str], tmp_path: Path
) -> None:
    assert forward_compat.fault({"LD_LIBRARY_PATH": libcuda("own", 12040)}) == "libcuda.so.1 is of CUDA 12.4"
    (tmp_path / "libcuda.so.1").write_text("no library")
    broken = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert forward_compat.fault(broken) == "libcuda.so.1 cannot be loaded"
    forward_compat.restart_if_needed([gpu("550.54.15")], broken)
    assert restarts == []


WHOLE = """
from grpo_job.runtime import forward_compat
forward_compat.FOLDERS = ({folder!r},)
from grpo_job.cli import main
main(["check", "--offline", "--all"])
"""


def test_a_check_restarts_itself_and_then_passes_the_driver(libcuda: Libcuda, tmp_path: Path) -> None:
    own, newer = libcuda("own", 12040), libcuda("newer", 13000)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA H100, GPU-1, 81559, 1, 550.54.15, 9.0, Disabled'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    variables = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "LD_LIBRARY_PATH": own, "HOME": str(tmp_path), "COLUMNS": "300",
        "GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path / "out"), "GRPO_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    command = [sys.executable, "-c", WHOLE.format(folder=newer)]
    done = subprocess.run(
        command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stderr.count(f"driver 550.54.15 is used with CUDA's libraries of {newer}") == 1
    assert "550.54.15 of NVIDIA H100, with the libraries of cuda-compat-13-0" in done.stdout
