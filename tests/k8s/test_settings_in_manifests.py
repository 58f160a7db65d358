"""What the manifests tell the job is what the job understands, and fits what they tell the cluster."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from grpo_job.monitoring.watchdog import LEAST_SECONDS
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime.library_env import library_environment
from grpo_job.runtime.world import Layout, layout
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings, known_names
from tests.k8s.manifests import JOB_LABELS, K8S, TRAINJOB, WITH_JOBS, WITH_PODS, Pod, environment, load, of_kind, pods
from tests.k8s.rules import quantity

ENV_FILES = ["base/grpo.env", "components/s3/s3.env", "components/hub/hub.env"]


def all_variables(source: str) -> list[tuple[Pod, dict[str, str]]]:
    return [(pod, environment(pod, [*load("job.yaml"), *load(source)])) for pod in pods(source)]


def settings_of(variables: dict[str, str]) -> Settings:
    return resolve(variables).settings


@pytest.mark.parametrize("source", WITH_PODS)
def test_the_job_accepts_every_variable_that_a_manifest_sets(source: str) -> None:
    for _, variables in all_variables(source):
        assert any(name.startswith("GRPO_") for name in variables)
        settings_of(variables)


@pytest.mark.parametrize("name", ENV_FILES)
def test_docker_and_kubernetes_read_the_same_from_an_env_file(name: str) -> None:
    for line in (K8S / name).read_text().splitlines():
        assert re.fullmatch(r"#.*|[A-Z][A-Z0-9_]*=[^\s\"']+", line), line


def test_the_settings_that_the_env_file_offers_are_accepted_too() -> None:
    offered = dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (K8S / "base/grpo.env").read_text(), re.MULTILINE))
    assert len(offered) >= 4
    settings_of(offered)


@pytest.mark.parametrize("source", WITH_JOBS)
def test_the_run_bears_the_name_that_a_replacement_pod_has_too(source: str) -> None:
    label = JOB_LABELS["JobSet" if source == TRAINJOB else "Job"]
    for pod, variables in all_variables(source):
        assert settings_of(variables).run_id == pod.labels[label]
    for config_map in of_kind(load(source), "ConfigMap"):
        assert "GRPO_RUN_ID" not in config_map["data"]


@pytest.mark.parametrize("source", WITH_PODS)
def test_all_that_is_written_goes_to_a_volume(source: str) -> None:
    for pod, variables in all_variables(source):
        places = writable(pod)
        settings = settings_of(variables)
        assert settings.output_dir == "/outputs"
        libraries = library_environment(Path(settings.cache_dir))
        paths = [variable.value for variable in libraries if variable.value.startswith("/")]
        paths += [settings.output_dir, settings.cache_dir]
        paths += [variables[name] for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME")]
        assert len(paths) >= 10
        for path in paths:
            assert any(Path(path).is_relative_to(place) for place in places), path
        assert "/tmp" in places


def writable(pod: Pod) -> set[str]:
    mounts = pod.container["volumeMounts"]
    return {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}


@pytest.mark.parametrize("source", WITH_PODS)
def test_secrets_are_files_that_the_job_can_read(source: str) -> None:
    for pod, variables in all_variables(source):
        files = {Path(variables[name]) for name in variables.keys() & {"HF_TOKEN_PATH", "AWS_SHARED_CREDENTIALS_FILE"}}
        secrets = [volume for volume in pod.spec["volumes"] if "secret" in volume]
        assert bool(files) == bool(secrets)
        for volume in secrets:
            (mount,) = [one for one in pod.container["volumeMounts"] if one["name"] == volume["name"]]
            (example,) = of_kind(load("secret.example.yaml"), "Secret")
            assert volume["secret"]["secretName"] == example["metadata"]["name"]
            assert files == {Path(mount["mountPath"]) / key for key in example["stringData"]}
            assert mount["readOnly"] is True
            # The files belong to root and to fsGroup, so the group must be able to read.
            assert volume["secret"]["defaultMode"] == 0o440
            assert pod.spec["securityContext"]["fsGroup"]


@pytest.mark.parametrize("source", WITH_JOBS)
def test_the_cluster_waits_longer_than_the_job_takes_to_stop(source: str) -> None:
    for pod, variables in all_variables(source):
        assert settings_of(variables).grace_seconds + 3 <= pod.spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("source", WITH_JOBS)
def test_the_ending_is_written_where_the_cluster_reads_it(source: str) -> None:
    for pod, variables in all_variables(source):
        assert pod.container["terminationMessagePath"] == settings_of(variables).termination_log
        assert pod.container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("source", [name for name in WITH_JOBS if name not in ("check-job.yaml", "smoke-job.yaml")])
def test_a_gpu_job_has_shared_memory_within_its_memory(source: str) -> None:
    for pod in pods(source):
        limits = pod.container["resources"]["limits"]
        assert int(limits["nvidia.com/gpu"]) >= 1
        (shm,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "shm"]
        assert shm["emptyDir"]["medium"] == "Memory"
        assert quantity(shm["emptyDir"]["sizeLimit"]) <= quantity(limits["memory"]) / 2
        assert any(one["key"] == "nvidia.com/gpu" for one in pod.spec["tolerations"])


@pytest.mark.parametrize("source", ["check-job.yaml", "smoke-job.yaml"])
def test_what_needs_no_gpu_asks_for_none_and_claims_no_volume(source: str) -> None:
    for pod in pods(source):
        assert "nvidia.com/gpu" not in str(pod.spec)
        assert not any("persistentVolumeClaim" in volume for volume in pod.spec["volumes"])


def test_no_file_names_a_variable_that_is_not_there() -> None:
    """Also in comments: a line that is uncommented must not be refused."""
    texts = [path.read_text() for path in K8S.rglob("*") if path.suffix in (".yaml", ".env", ".md", ".sh", ".sbatch")]
    named = set(re.findall(r"\bGRPO_[A-Z0-9_]*[A-Z0-9]\b", "\n".join(texts)))
    assert len(named) >= 15
    assert {name.removeprefix("GRPO_").lower() for name in named} <= set(known_names())


class TestLiveness:
    """The probe's own shell, on a real run folder."""

    @pytest.fixture
    def heartbeat(self, tmp_path: Path) -> Path:
        folder = RunFolder(tmp_path / "run").open()
        return folder.heartbeat

    def probe(self, heartbeat: Path) -> int:
        (pod,) = pods("job.yaml")
        variables = {"GRPO_OUTPUT_DIR": str(heartbeat.parents[1]), "GRPO_RUN_ID": heartbeat.parent.name}
        command = pod.container["livenessProbe"]["exec"]["command"]
        return subprocess.run(command, env={"PATH": os.environ["PATH"], **variables}, capture_output=True).returncode

    def test_it_passes_while_the_heart_beats(self, heartbeat: Path) -> None:
        assert self.probe(heartbeat) == 0

    def test_it_fails_half_an_hour_after_the_last_beat(self, heartbeat: Path) -> None:
        for seconds, alive in ((1700, True), (1900, False)):
            os.utime(heartbeat, (time.time() - seconds,) * 2)
            assert (self.probe(heartbeat) == 0) == alive

    def test_it_fails_where_no_run_was_opened(self, heartbeat: Path) -> None:
        heartbeat.unlink()
        assert self.probe(heartbeat) != 0

    def test_the_job_is_given_the_time_to_end_a_hang_by_itself(self) -> None:
        (pod,) = pods("job.yaml")
        probe = pod.container["livenessProbe"]
        (longest,) = re.findall(r"-lt (\d+)$", probe["exec"]["command"][-1])
        assert int(longest) >= 5 * LEAST_SECONDS
        assert probe["initialDelaySeconds"] >= 120  # until the run folder is opened: imports and settings
        assert probe["failureThreshold"] * probe["periodSeconds"] < int(longest)

    @pytest.mark.parametrize("source", ["check-job.yaml", "smoke-job.yaml"])
    def test_short_jobs_have_a_deadline_instead(self, source: str) -> None:
        ((job,),) = [of_kind(load(source), "Job")]
        assert "livenessProbe" not in str(job)
        assert job["spec"]["activeDeadlineSeconds"] <= 1800


@pytest.mark.parametrize(
    ("source", "expected"), [("overlays/multi-gpu", Layout(4)), ("overlays/multi-node", Layout(4, 2))]
)
def test_the_pods_of_several_gpus_share_their_steps(source: str, expected: Layout) -> None:
    for _, variables in all_variables(source):
        rank = {"PET_NODE_RANK": "0"} if expected.nodes > 1 else {}
        assert layout(settings_of(variables), {**variables, **rank}, gpus=4) == expected
