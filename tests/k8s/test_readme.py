"""The commands of README and docs/kubernetes.md, word for word, with the real kubectl; and what they tell."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_job.outcomes import EXIT_CODES
from tests.k8s import cluster
from tests.k8s.manifests import K8S, OVERLAYS, jobs, load, of_kind, require_kubectl

ROOT = K8S.parent
WALK = (K8S / "README.md").read_text()
README = WALK + (ROOT / "docs" / "kubernetes.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
STREAMS = re.compile(r"kubectl (exec|cp|port-forward) ")
INLINE = [command for command in re.findall(r"`(kubectl [^`]+)`", README) if " " in command.removeprefix("kubectl ")]
NOBODY = 9  # the port of `discard`


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of `k8s/`, for the README's first command edits it; and a home with a token."""
    require_kubectl()
    shutil.copytree(K8S, tmp_path / "k8s")
    token = tmp_path / ".cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text("not a token\n")
    return tmp_path


def run(command: str, folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(config)}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def there(checkout: Path) -> Iterator[tuple[cluster.Cluster, Path]]:
    with cluster.running(checkout) as running:
        yield running


def test_every_command_works_in_order(there: tuple[cluster.Cluster, Path], checkout: Path) -> None:
    standing, config = there
    said = {}
    for command in COMMANDS:
        if not STREAMS.match(command):
            done = run(command, checkout, config)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            said[command] = done.stdout
    jobs_there = {name: job for (plural, name), job in standing.objects.items() if plural == "jobs"}
    assert set(jobs_there) == {"grpo-gsm8k", "grpo-gsm8k-check", "grpo-second", "grpo-smoke"}
    images = {job["spec"]["template"]["spec"]["containers"][0]["image"] for job in jobs_there.values()}
    assert images == {"ghcr.io/your-account/grpo-job:0.1.0", "ghcr.io/your-account/grpo-job:0.1.0-cpu"}
    assert jobs_there["grpo-gsm8k"]["spec"]["suspend"] is False
    assert ("configmaps", "grpo-second") in standing.objects
    (ending,) = [text for command, text in said.items() if "-o jsonpath" in command]
    assert '"exitCode":0' in ending


def test_the_first_command_of_a_run_applies_what_the_check_needs_and_nothing_more(
    there: tuple[cluster.Cluster, Path], checkout: Path
) -> None:
    standing, config = there
    first = next(command for command in COMMANDS if "component=settings" in command)
    assert run(first, checkout, config).returncode == 0
    assert set(standing.objects) == {
        ("namespaces", "default"), ("serviceaccounts", "grpo-job"), ("configmaps", "grpo-gsm8k"),
    }  # fmt: skip


def test_applying_the_same_again_changes_nothing(there: tuple[cluster.Cluster, Path], checkout: Path) -> None:
    _, config = there
    run("kubectl apply -f k8s/job.yaml", checkout, config)
    again = run("kubectl apply -f k8s/job.yaml", checkout, config)
    assert again.returncode == 0
    assert {line.rpartition(" ")[2] for line in again.stdout.splitlines()} == {"unchanged"}


def test_a_misspelt_field_is_refused(there: tuple[cluster.Cluster, Path], checkout: Path) -> None:
    _, config = there
    refused = run("sed 's/backoffLimit/backofLimit/' k8s/job.yaml | kubectl apply -f -", checkout, config)
    assert refused.returncode == 1
    assert "backofLimit" in refused.stderr


@pytest.mark.parametrize(
    "command", sorted({*filter(STREAMS.match, COMMANDS), *(text.replace("NAME", "hub") for text in INLINE)})
)
def test_every_other_command_is_one_that_kubectl_understands(command: str, checkout: Path) -> None:
    """Nobody listens: what kubectl understands fails at the connection, the rest at its words."""
    config = cluster.kubeconfig(checkout / "kubeconfig", NOBODY)
    assert "connection" in run(command, checkout, config).stderr


def test_the_images_are_built_and_pushed_under_the_names_in_the_files(tmp_path: Path) -> None:
    """`docker` is one that writes down what it is asked for."""
    (tmp_path / "docker").write_text('#!/bin/sh\necho docker "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    (build,) = re.findall(r"```bash\n(.*?)```", WALK, re.DOTALL)
    asked = build.replace("make ", f"make --dry-run --directory {ROOT} ").replace("docker push", "./docker push")
    done = run(asked, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    tags = ("ghcr.io/your-account/grpo-job:0.1.0", "ghcr.io/your-account/grpo-job:0.1.0-cpu")
    assert all(f"--tag {tag} " in done.stdout and f"docker push {tag}\n" in done.stdout for tag in tags)


def test_the_readme_goes_from_an_image_to_a_result() -> None:
    parts = re.findall(r"^## (.+)$", WALK, re.MULTILINE)
    assert parts == ["Image", "Run", "Watch", "Stop and resume", "Read the result"]
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    (unpacked, compressed) = re.findall(r"\| together \| ([\d.]+) GB \| ([\d.]+) GB \|", results)[0]
    assert f"{float(unpacked):.1f} GB unpacked" in " ".join(WALK.split())
    assert f"{float(compressed):.1f} GB to push and pull" in " ".join(WALK.split())


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", WALK):
        assert (K8S / target).is_file(), target


def test_the_commands_are_more_than_a_few() -> None:
    assert len(COMMANDS) >= 20
    assert len(INLINE) >= 4


def test_every_ending_stands_in_the_table_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", README, re.MULTILINE))
    for row in EXIT_CODES:
        shared = [word for word in re.findall(r"\w+", rows[str(row.code)]) if word in re.findall(r"\w+", row.meaning)]
        assert len(shared) >= 2, row


def test_the_numbers_that_the_readme_tells_are_those_of_the_job() -> None:
    (job,) = jobs("job.yaml")
    assert f"retries, {job['spec']['backoffLimit']} times" in README
    assert job["spec"]["activeDeadlineSeconds"] == 86400
    assert "`activeDeadlineSeconds` (a day)" in README
    (spot,) = jobs("overlays/spot")
    assert f"within the {spot['spec']['template']['spec']['terminationGracePeriodSeconds']} seconds" in README


def test_every_file_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"[\w./-]+\.(?:yaml|env|py|sh|sbatch)\b", README)) - {"kustomization.yaml"}
    assert len(named) >= 12
    for name in sorted(named):
        path = name.removeprefix("k8s/")
        assert (K8S / path).is_file() or (K8S / "base" / path).is_file(), name


def test_every_overlay_and_every_other_platform_stands_in_a_table() -> None:
    cells = set(re.findall(r"`([^`]+)`", "\n".join(line.split("|")[1] for line in README.splitlines() if "|" in line)))
    assert {name.removeprefix("overlays/") for name in OVERLAYS} <= cells
    assert {f"others/{path.name}" for path in (K8S / "others").iterdir()} <= cells


def test_the_names_in_the_commands_are_those_of_the_files() -> None:
    (secret,) = of_kind(load("secret.example.yaml"), "Secret")
    assert f"secret generic {secret['metadata']['name']} --from-file=hf-token=" in README
    assert "hf-token" in secret["stringData"]
    (pod,) = load("results-pod.yaml")
    assert f"kubectl exec {pod['metadata']['name']} -- " in README
