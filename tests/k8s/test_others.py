"""The same image elsewhere: each file against the platform's own parser, or run with stand-ins for its commands."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import EXIT_CODES, EXIT_INTERRUPTED
from grpo_job.settings.reader import resolve
from tests.k8s.manifests import K8S, TRAINJOB, leaves, load

OTHERS = K8S / "others"
BIN = Path(sys.executable).parent
SKYPILOT_PYTHON = os.environ.get("GRPO_TEST_SKYPILOT")
RECORD = 'printf "%s\\n" "$(basename "$0")" "$@" "" >> "$CALLS"\n'


class Stage:
    """A folder with commands that only note how they were called; `srun` and `docker` end as told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls_file = folder, folder / "calls"
        (folder / "bin").mkdir()
        for name in ("srun", "scontrol", "docker", "apptainer"):
            self.stand_in(name, 'exit "${ENDS_WITH:-0}"' if name in ("srun", "docker") else "exit 0")

    def stand_in(self, name: str, rest: str) -> None:
        command = self.folder / "bin" / name
        command.write_text(f"#!/usr/bin/env bash\n{RECORD}{rest}\n")
        command.chmod(command.stat().st_mode | stat.S_IXUSR)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}:{BIN}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.folder), "CALLS": str(self.calls_file), **variables}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)

    def calls(self) -> list[list[str]]:
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        return [call.split("\n") for call in text.removesuffix("\n\n").split("\n\n") if call]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_scripts_are_clean() -> None:
    shellcheck = BIN / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed")
    script = "#!/usr/bin/env bash\n" + skypilot()["run"]
    files = [str(OTHERS / "slurm.sbatch"), str(OTHERS / "huggingface-jobs.sh")]
    done = subprocess.run([shellcheck, *files], capture_output=True, text=True)
    assert done.stdout == ""
    done = subprocess.run([shellcheck, "-"], input=script, capture_output=True, text=True)
    assert done.stdout == ""


class TestKubeflow:
    @pytest.mark.parametrize(
        ("kind", "model"),
        [("TrainJob", "TrainerV1alpha1TrainJob"), ("TrainingRuntime", "TrainerV1alpha1TrainingRuntime")],
    )
    def test_its_models_keep_every_field(self, kind: str, model: str) -> None:
        """They drop what they do not know, so nothing may be lost on the way through them."""
        models: Any = pytest.importorskip("kubeflow_trainer_api.models")
        (document,) = [document for document in load(TRAINJOB) if document["kind"] == kind]
        made = getattr(models, model).from_dict(document).to_dict()
        assert leaves(document).items() <= leaves(made).items()  # beside them: a default, ports[metrics].protocol

    def test_the_train_job_names_the_runtime_beside_it(self) -> None:
        runtime, trainjob = load(TRAINJOB)
        assert trainjob["spec"]["runtimeRef"] == {"kind": runtime["kind"], "name": runtime["metadata"]["name"]}
        (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
        step = replicated["template"]["metadata"]["labels"]["trainer.kubeflow.org/trainjob-ancestor-step"]
        assert (step, replicated["name"]) == ("trainer", "node")


def skypilot() -> dict[str, Any]:
    (task,) = load("others/skypilot.yaml")
    return task


class TestSkyPilot:
    def test_it_recovers_from_an_interruption_and_from_nothing_else(self) -> None:
        recovery = skypilot()["resources"]["job_recovery"]
        assert recovery["recover_on_exit_codes"] == [EXIT_INTERRUPTED]
        assert recovery["max_restarts_on_errors"] == 0

    def test_its_settings_are_accepted(self) -> None:
        settings = resolve(skypilot()["envs"]).settings
        assert settings.checkpoint_to

    def test_the_container_gets_the_settings_and_its_code_is_the_jobs(self, stage: Stage) -> None:
        stage.stand_in("docker", 'settings=${*: -2:1}; cat "$settings" > settings; exit "$ENDS_WITH"')
        for row in EXIT_CODES:
            ends_with = str(row.code)
            done = stage.run(
                "bash", "-c", skypilot()["run"], ENDS_WITH=ends_with, HF_TOKEN="t", OTHER="x", **skypilot()["envs"]
            )
            assert done.returncode == row.code
        given = dict(line.split("=", 1) for line in (stage.folder / "settings").read_text().splitlines())
        assert given == {**skypilot()["envs"], "HF_TOKEN": "t"}
        assert "--read-only" in stage.calls()[0]

    @pytest.mark.slow
    @pytest.mark.skipif(not SKYPILOT_PYTHON, reason="GRPO_TEST_SKYPILOT names a Python that has skypilot")
    def test_its_own_parser_reads_it(self) -> None:
        code = "import sky, sys; print([r.job_recovery for r in sky.Task.from_yaml(sys.argv[1]).resources])"
        command = [str(SKYPILOT_PYTHON), "-c", code, str(OTHERS / "skypilot.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "'recover_on_exit_codes': [75]" in done.stdout


class TestHuggingFaceJobs:
    def submit(self, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "HF_TOKEN": "not-a-token", "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        command = [str(OTHERS / "huggingface-jobs.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def test_the_command_is_one_that_the_client_understands(self, tmp_path: Path) -> None:
        if not (BIN / "hf").exists():
            pytest.skip("the client `hf` is not installed")
        done = self.submit("hf://me/model", "--dry-run", home=tmp_path)
        assert done.returncode == 0, done.stderr
        told = dict(re.findall(r"^ +(\w+) +(\S.*)$", done.stdout, re.MULTILINE))
        assert told["command"] == "grpo-job run"
        assert told["timeout"] == "6h"  # the default is 30 minutes
        variables = dict(pair.split("=", 1) for pair in re.findall(r"GRPO_\w+=\S+", done.stdout))
        settings = resolve({name: value.rstrip(",") for name, value in variables.items()}).settings
        assert settings.publish_to == ("hf://me/model",)
        assert settings.checkpoint_to == "hf://me/model-checkpoints"
        assert settings.recipe == "gsm8k"

    def test_it_asks_for_the_place_where_to_publish(self, tmp_path: Path) -> None:
        done = self.submit(home=tmp_path)
        assert done.returncode != 0
        assert "where to publish" in done.stderr


class TestSlurm:
    def submit(self, stage: Stage, code: int) -> subprocess.CompletedProcess[str]:
        token = stage.folder / ".cache/huggingface/token"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
        return stage.run(
            "bash", str(OTHERS / "slurm.sbatch"), ENDS_WITH=str(code), SLURM_JOB_ID="17", SLURM_JOB_NAME="grpo-gsm8k"
        )

    @pytest.mark.parametrize("row", EXIT_CODES, ids=lambda row: row.kind)
    def test_only_an_interrupted_run_goes_to_the_queue_again(self, row: Any, stage: Stage) -> None:
        assert self.submit(stage, row.code).returncode == row.code
        requeued = ["scontrol", "requeue", "17"] in stage.calls()
        assert requeued == (row.cluster_should == "retry without counting it against the backoff limit")

    def test_the_container_gets_settings_that_are_accepted(self, stage: Stage) -> None:
        self.submit(stage, 0)
        ((_, *call),) = stage.calls()
        assert call[:2] == ["apptainer", "exec"]
        assert call[-3:] == ["grpo-job.sif", "grpo-job", "run"]
        variables = dict(call[at + 1].split("=", 1) for at, word in enumerate(call) if word == "--env")
        assert resolve({name: text for name, text in variables.items() if name.startswith("GRPO_")}).settings.run_id
        bound = {call[at + 1].split(":")[1] for at, word in enumerate(call) if word == "--bind" and ":" in call[at + 1]}
        assert {"/cache", "/outputs", "/secrets/hf-token"} == bound

    def test_it_is_warned_early_enough_to_save(self) -> None:
        text = (OTHERS / "slurm.sbatch").read_text()
        (warning,) = re.findall(r"^#SBATCH --signal=TERM@(\d+)$", text, re.MULTILINE)
        (grace,) = re.findall(r"GRPO_GRACE_SECONDS=(\d+)", text)
        assert int(warning) >= int(grace) + 60  # Slurm may be a minute late
        assert f"or {warning} s before" in text
        assert "#SBATCH --requeue" in text


def test_every_image_is_the_same() -> None:
    for path in OTHERS.iterdir():
        assert re.findall(r"ghcr\.io/[\w./-]+:[\w.-]+", path.read_text()) == ["ghcr.io/OWNER/grpo-job:0.1.0"], path.name
