"""A configuration that passes every check, and ways to spoil one thing in it: fakes stand at the edges only."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job import preflight
from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.phases.read_settings import unknown_rewards
from grpo_job.preflight import resources, versions
from grpo_job.preflight.findings import Finding, Findings, of_settings
from grpo_job.runtime.locked_versions import locked
from grpo_job.settings.reader import resolve
from tests.servers.hub import HubServer

GB = 10**9
GPU_ROW = "{name}, GPU-8932f937, {memory}, {used}, {driver}, {capability}, {mig}"


class World:
    """The sample's model, a few of its rows in files, and a machine with room for them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, hub: Callable[[], HubServer]) -> None:
        self.folder, self.patch, self._hub = folder, monkeypatch, hub
        self.environment = {
            "GRPO_RECIPE": "smoke",
            "GRPO_OUTPUT_DIR": str(folder / "outputs"),
            "GRPO_DATASET": str(folder / "rows"),
            "GRPO_MAX_STEPS": "20",
        }
        (folder / "rows").mkdir()
        self.rows(train=rows_of(sample.TRAIN, 100), test=rows_of(sample.HELD_OUT, 100))
        monkeypatch.setattr(resources, "free_bytes", lambda folder: 100 * GB)
        monkeypatch.setattr(resources, "available_memory", lambda: 64.0 * GB)
        monkeypatch.setattr(versions, "installed", lambda: dict(locked()["cpu"]))
        monkeypatch.setenv("PATH", str(folder / "bin"))  # no nvidia-smi of this machine's

    def set(self, **variables: str) -> None:
        """Settings by their variables' names without GRPO_, and the clients' own as they are."""
        clients = ("HF_", "AWS_", "CUDA_")
        named = {name if name.startswith(clients) else f"GRPO_{name}": text for name, text in variables.items()}
        self.environment |= named

    def rows(self, **splits: list[dict[str, Any]]) -> None:
        for split, rows in splits.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (self.folder / "rows" / f"{split}.jsonl").write_text(lines)

    def model(self, **config: Any) -> Path:
        """A model of one's own: the sample's files, with other values in config.json (None: without)."""
        folder = self.folder / "model"
        shutil.copytree(sample.MODEL, folder, dirs_exist_ok=True)
        known = json.loads((folder / "config.json").read_text()) | config
        (folder / "config.json").write_text(json.dumps({k: v for k, v in known.items() if v is not None}))
        self.set(MODEL=str(folder))
        return folder

    def reward(self, body: str) -> None:
        """A reward of the user's own, in a file."""
        module = f"mine_{hashlib.sha256(body.encode()).hexdigest()[:8]}"  # Python imports a name once
        (self.folder / f"{module}.py").write_text(f"def paid(completion, answer):\n    {body}\n")
        self.patch.setattr(sys, "path", [*sys.path])
        self.set(REWARDS=f"{module}.paid:1", REWARD_PATH=str(self.folder))

    def gpu(
        self,
        *,
        count: int = 1,
        name: str = "NVIDIA H200",
        memory: int = 143771,
        used: int = 1,
        driver: str = "580.65.06",
        capability: str = "9.0",
        mig: str = "Disabled",
    ) -> None:
        """An nvidia-smi that tells of these GPUs, and what the lock installs beside one."""
        row = GPU_ROW.format(name=name, memory=memory, used=used, driver=driver, capability=capability, mig=mig)
        (self.folder / "bin").mkdir(exist_ok=True)
        program = self.folder / "bin" / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for _ in range(count)))
        program.chmod(0o755)
        self.patch.setattr(versions, "installed", lambda: dict(locked()["gpu"]))
        self.patch.setattr(resources, "shm_bytes", lambda: 8 * GB)

    def hub(self) -> HubServer:
        """A Hub that the clients ask in place of the real one."""
        hub = self._hub()
        self.patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        self.patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(self.folder / "cache"))
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        self.patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        self.set(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("alice"))
        self.patch.setenv("HF_TOKEN", hub.token("alice"))
        return hub

    def hub_model(self, *, without: str = "", **facts: Any) -> HubServer:
        """The sample as `alice/model` on the Hub."""
        hub = self.hub()
        files = {path.name: path.read_bytes() for path in sample.MODEL.iterdir() if path.name != without}
        hub.add_repo("alice/model", files)
        hub.repos["model", "alice/model"].facts.update(facts)
        self.set(MODEL="alice/model")
        return hub

    def examine(self, **how: bool) -> Findings:
        """All findings, of settings or of everything behind them."""
        try:
            settings = resolve(self.environment, further_checks=[unknown_rewards]).settings
        except InvalidRun as refusal:
            return of_settings(refusal.faults)
        return preflight.examine(settings, self.environment, **how).findings

    def failed(self, **how: bool) -> list[Finding]:
        return [finding for finding in self.examine(**how) if finding.status == "failed"]

    def warned(self) -> list[Finding]:
        found = self.examine()
        assert not found.faults()
        return [finding for finding in found if finding.status == "warned"]


def rows_of(path: Path, number: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[:number]]
