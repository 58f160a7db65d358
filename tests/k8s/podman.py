"""Podman as a small kubelet: plays the pod of a Job, tells how it ended, and shows its outputs.

Podman 4 plays Pods and not Jobs, and knows of the volumes only claims: so the template is taken out, scratch folders
become claims, and what has no meaning here (GPU, secrets that are not there, probes by systemd) is left out.
"""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.manifests import Document, pod_of

LONGEST_SECONDS = 1200
CONTAINER = "grpo-job"


class Kubelet:
    """Plays pods under names of its own; `close` takes all of them and their volumes away."""

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.prefix = f"grpo-test-{uuid.uuid4().hex[:8]}"
        self.volumes: set[str] = set()
        self.pods: set[str] = set()

    def play(self, job: Document, settings: dict[str, str]) -> str:
        """Start the pod of a Job, with these settings over its own; the name of its container."""
        name = f"{self.prefix}-{job['metadata']['name']}"
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(self.pod(job, name, settings)))
        self.pods.add(name)
        self._podman("play", "kube", str(path))
        return f"{name}-{CONTAINER}"

    def pod(self, job: Document, name: str, settings: dict[str, str]) -> Document:
        pod = pod_of(job)
        spec = deepcopy(pod.spec)
        (container,) = spec["containers"]
        container["image"] = self.image
        container["imagePullPolicy"] = "Never"
        container["resources"]["limits"].pop("nvidia.com/gpu", None)
        container.pop("envFrom", None)
        container.pop("livenessProbe", None)
        own = {variable["name"]: variable for variable in container["env"]}
        own |= {key: {"name": key, "value": value} for key, value in settings.items()}
        container["env"] = list(own.values())
        spec["volumes"] = [self._claim(volume) for volume in spec["volumes"] if volume["name"] not in LEFT_OUT]
        container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] not in LEFT_OUT]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": pod.labels}, "spec": spec}

    def ended(self, container: str) -> int:
        """Wait for the end; the exit code."""
        return int(self._podman("wait", container).split()[-1])

    def stop(self, container: str, seconds: int) -> int:
        """What the kubelet does with a pod that is deleted: SIGTERM, then after its grace SIGKILL; the exit code."""
        self._podman("stop", "--time", str(seconds), container)
        return self.ended(container)

    def delete(self, container: str) -> None:
        name = container.removesuffix(f"-{CONTAINER}")
        self._podman("pod", "rm", "--force", name)
        self.pods.discard(name)

    def log(self, container: str) -> str:
        done = subprocess.run(["podman", "logs", container], capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def outputs(self) -> Path:
        """Where the volume of outputs lies on this machine."""
        claims = json.loads(self._podman("volume", "inspect", self._volume("outputs")))
        return Path(claims[0]["Mountpoint"])

    def wait_for_steps(self, run: str, steps: int) -> None:
        """Until the run has written so many lines of metrics."""
        metrics = self.outputs() / run / "metrics.jsonl"
        end = time.monotonic() + LONGEST_SECONDS
        while not metrics.exists() or metrics.read_text().count("\n") < steps:
            assert time.monotonic() < end, "the run does not come to its steps"
            time.sleep(0.2)

    def close(self) -> None:
        for name in self.pods:
            subprocess.run(["podman", "pod", "rm", "--force", name], capture_output=True, timeout=120)
        for name in self.volumes:
            subprocess.run(["podman", "volume", "rm", "--force", name], capture_output=True, timeout=120)

    def _claim(self, volume: dict[str, Any]) -> dict[str, Any]:
        name = self._volume(volume["name"])
        self.volumes.add(name)
        return {"name": volume["name"], "persistentVolumeClaim": {"claimName": name}}

    def _volume(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _podman(self, *arguments: str) -> str:
        done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=LONGEST_SECONDS)
        assert done.returncode == 0, f"podman {' '.join(arguments)}\n{done.stderr}"
        return done.stdout


LEFT_OUT = ("shm", "credentials")


@contextmanager
def kubelet(image: str, folder: Path) -> Iterator[Kubelet]:
    playing = Kubelet(image, folder)
    try:
        yield playing
    finally:
        playing.close()
