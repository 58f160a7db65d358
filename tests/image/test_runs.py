"""The job in its image: as any user, on a read-only root, without rights and without a network."""

import json
from collections.abc import Iterator

import pytest

from tests.image.containers import SMOKE, Background, Volumes, run

STEPS = "40"
RUN_FOLDER = {
    "settings.json", "environment.json", "metrics.jsonl", "completions.jsonl", "summary.json", "report.html",
    "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/README.md",
    "evaluation/before.jsonl", "evaluation/after.jsonl", "evaluation/evaluation.json",
}  # fmt: skip


@pytest.fixture
def interrupted(volumes: Volumes) -> Iterator[Background]:
    container = Background(flags=volumes.flags, **SMOKE | {"GRPO_MAX_STEPS": STEPS, "GRPO_SAVE_STEPS": "5"})
    yield container
    container.close()


def test_a_smoke_run_leaves_the_whole_run_folder(volumes: Volumes) -> None:
    done = run(flags=volumes.flags, **SMOKE)
    assert done.returncode == 0, done.stderr
    files = volumes.files("run")
    assert files >= RUN_FOLDER
    assert {"checkpoints/step-000003/manifest.json", "plots/reward.png"} <= files
    assert json.loads(volumes.read("run/summary.json"))["ending"]["code"] == 0


def test_a_trained_run_is_published_and_evaluated_in_it(volumes: Volumes) -> None:
    assert run(flags=volumes.flags, **SMOKE).returncode == 0
    published = run("publish", "/outputs/run", "--to", "file:///outputs/published", flags=volumes.flags)
    assert published.returncode == 0, published.stderr
    assert {"manifest.json", "adapter_model.safetensors", "run/summary.json"} <= volumes.files("published")
    again = run("evaluate", "/outputs/published", "--output", "/outputs/again", flags=volumes.flags)
    assert again.returncode == 0, again.stderr
    assert "evaluation.json" in {name.split("/")[-1] for name in volumes.files("again")}


def test_check_answers_in_it(volumes: Volumes) -> None:
    done = run("check", flags=volumes.flags, **SMOKE)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout


def test_a_bad_setting_ends_with_2_and_names_it(volumes: Volumes) -> None:
    done = run(flags=volumes.flags, **SMOKE | {"GRPO_MAX_STEPS": "0"})
    assert done.returncode == 2
    assert "GRPO_MAX_STEPS" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("mounted", "named"), [("cache", "GRPO_OUTPUT_DIR"), ("outputs", "GRPO_CACHE_DIR")])
def test_a_folder_that_cannot_be_written_is_named_at_the_start(mounted: str, named: str, volumes: Volumes) -> None:
    (flag,) = (flag for flag in volumes.flags if flag.endswith(mounted))
    done = run(flags=(flag,), **SMOKE)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_stopped_ends_with_75_and_a_second_container_finishes_it(
    interrupted: Background, volumes: Volumes
) -> None:
    interrupted.wait_for_lines("/outputs/run/metrics.jsonl", 7)
    assert interrupted.processes()[0].startswith("/usr/bin/tini -- python")
    assert interrupted.stop(seconds=60) == 75, interrupted.log()
    assert any(name.endswith("manifest.json") for name in volumes.files("run/checkpoints"))
    assert json.loads(volumes.read("run/summary.json"))["ending"]["code"] == 75

    done = run(flags=volumes.flags, **SMOKE | {"GRPO_MAX_STEPS": STEPS, "GRPO_SAVE_STEPS": "5"})
    assert done.returncode == 0, done.stderr
    told = json.loads(volumes.read("run/summary.json"))
    assert told["attempts"] == 2
    assert told["steps"]["done"] == int(STEPS)
    assert told["steps"]["lost_to_resume"] == 0


def test_its_health_follows_the_heartbeat(interrupted: Background) -> None:
    from tests.image.containers import attempt, inspected

    found = inspected()
    (kind, *command) = (found["Config"].get("Healthcheck") or found["Healthcheck"])["Test"]
    assert kind == "CMD"
    interrupted.wait_for_lines("/outputs/run/metrics.jsonl", 1)
    assert attempt("exec", interrupted.id, *command).returncode == 0
    assert attempt("exec", "--env=GRPO_RUN_ID=another", interrupted.id, *command).returncode != 0
