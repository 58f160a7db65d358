"""`make gpu` on machines that lack one thing each: programs of a made PATH stand for the machine's own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "gpu_machine.sh"
USED = ("sh", "awk", "tr", "head", "rm", "mkdir", "cp", "chmod")
PYTHON = "exit 0"
UV = """echo "$*" >>calls
case $1 in venv) mkdir -p .venv-gpu/bin; cp "$BIN/python3.12" .venv-gpu/bin/python ;; esac"""
WHOLE = {
    "uname": 'case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac',
    "getconf": "echo glibc 2.35",
    "nvidia-smi": "echo NVIDIA L4, 580.95.05",
    "cc": "exit 0",
    "python3.12": PYTHON,
    "uv": UV,
}  # fmt: skip
LACKING: Mapping[str, tuple[dict[str, str | None], str, str]] = {
    "another system": ({"uname": "echo Darwin"}, "this is Darwin", "make smoke"),
    "another processor": (
        {"uname": 'case $1 in -s) echo Linux ;; -m) echo aarch64 ;; esac'}, "Linux on aarch64", "x86_64",
    ),
    "an old glibc": ({"getconf": "echo glibc 2.31"}, "glibc 2.31", "Ubuntu 22.04"),
    "no glibc": ({"getconf": "exit 1"}, "glibc unknown", "2.35"),
    "no driver": ({"nvidia-smi": None}, "nvidia-smi was not found", "driver 580"),
    "a broken driver": (
        {"nvidia-smi": "echo couldn\\'t communicate with the driver; exit 9"}, "communicate with the driver", "repair",
    ),
    "no GPU": ({"nvidia-smi": "echo No devices were found; exit 6"}, "No devices were found", "--gpus all"),
    "an empty list": ({"nvidia-smi": "exit 0"}, "lists no GPU", "--gpus all"),
    "no uv": ({"uv": None}, "uv was not found", "pipx install uv"),
    "no compiler": ({"cc": None}, "C compiler", "apt-get install gcc"),
    "no Python 3.12": ({"uv": "exit 1"}, "Python 3.12", "uv python install 3.12"),
    "a driver that is too old": (
        {"python3.12": 'case $2 in *cuda_driver*) echo has driver 470; exit 1 ;; esac'}, "has driver 470", "has",
    ),
    "no headers of Python": (
        {"python3.12": 'case $2 in *sysconfig*) exit 1 ;; esac'}, "Python.h", "python3.12-dev",
    ),
    "no index": ({"uv": f'{UV}\ncase "$*" in *gpu.lock) exit 1 ;; esac'}, "could not be installed", "UV_DEFAULT_INDEX"),
    "a checkout of another user": (
        {"uv": f'{UV}\ncase "$*" in *editable*) exit 1 ;; esac'}, "this package", "may write to",
    ),
}  # fmt: skip
Machine = Callable[[Mapping[str, str | None]], subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Runs the script where PATH has nothing but these programs and the shell's usual tools."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in USED:
        (programs / name).symlink_to(shutil.which(name) or name)

    def run(changed: Mapping[str, str | None]) -> subprocess.CompletedProcess[str]:
        for name, text in {**WHOLE, **changed}.items():
            (programs / name).unlink(missing_ok=True)
            if text is not None:
                (programs / name).write_text(f"#!/bin/sh\n{text}\n")
                (programs / name).chmod(0o755)
        variables = {"PATH": str(programs), "BIN": str(programs)}
        return subprocess.run(
            [programs / "sh", SCRIPT], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )

    return run


def test_a_whole_machine_gets_the_lock_by_hash_then_this_package_and_is_told_the_two_commands(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine({})
    assert done.returncode == 0, done.stderr
    venv, lock, package = (tmp_path / "calls").read_text().splitlines()
    assert venv == "venv --quiet --python 3.12 .venv-gpu"
    assert "--require-hashes" in lock
    assert lock.endswith("--requirement locks/gpu.lock")
    assert package.endswith("--no-deps --no-build-isolation --editable .")
    assert done.stdout.splitlines()[-2:] == ["  .venv-gpu/bin/grpo-job check", "  .venv-gpu/bin/grpo-job run"]
    assert "NVIDIA L4, 580.95.05" in done.stdout


@pytest.mark.parametrize("what", LACKING)
def test_what_is_missing_is_one_sentence_with_its_cure(machine: Machine, what: str) -> None:
    changed, said, cure = LACKING[what]
    done = machine(changed)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("make gpu: ")
    assert said in sentence
    assert cure in sentence
    assert "next, with" not in done.stdout


def test_called_again_it_keeps_the_environment(machine: Machine, tmp_path: Path) -> None:
    machine({})
    machine({})
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["venv", "pip", "pip", "pip", "pip"]


def test_an_environment_of_another_python_is_made_again(machine: Machine, tmp_path: Path) -> None:
    machine({})
    (tmp_path / ".venv-gpu/bin/python").write_text("#!/bin/sh\ncase $2 in *version_info*) exit 1 ;; esac\n")
    machine({})
    assert (tmp_path / "calls").read_text().count("venv --quiet") == 2


def test_make_gpu_calls_the_script_which_the_shell_checker_passes() -> None:
    command = ["make", "--no-print-directory", "-n", "gpu"]  # the tests may run under another make
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.strip() == "tools/gpu_machine.sh"
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run([Path(sys.executable).parent / "shellcheck", SCRIPT], check=True)
