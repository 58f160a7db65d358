"""A real Prometheus scrapes a real run while it trains."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote

import pytest

from grpo_job.run_folder.files import read_json, read_jsonl
from tests.faults import runs
from tests.faults.hooks import WithoutReport
from tests.monitoring.test_metrics_server import free_port

SECONDS = 120.0
STEPS = 60
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: training
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@contextmanager
def prometheus(folder: Path, scrapes: int) -> Iterator[str]:
    """Its address; it scrapes the port `scrapes` each second."""
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(CONFIG.format(port=scrapes))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def asked(server: str, query: str) -> dict[str, float]:
    """Name of the series -> its value, as Prometheus answers; nothing while it starts."""
    try:
        with urllib.request.urlopen(f"{server}/api/v1/query?query={quote(query)}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
    except URLError:
        return {}
    return {one["metric"]["__name__"]: float(one["value"][1]) for one in found}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's package prometheus")
def test_a_real_prometheus_sees_a_run_as_its_metrics_tell_it(tmp_path: Path) -> None:
    port, seen = free_port(), dict[int, dict[str, float]]()
    settings = {
        "GRPO_METRICS_PORT": str(port), "GRPO_MAX_STEPS": str(STEPS), "GRPO_PRICE_PER_HOUR": "3.6",
        "GRPO_SAVE_STEPS": str(STEPS),
    }  # fmt: skip
    with prometheus(tmp_path, port) as server:
        attempt = runs.start(tmp_path, settings, hooks=[WithoutReport()])
        end = time.monotonic() + SECONDS
        while attempt.poll() is None and time.monotonic() < end:
            values = asked(server, '{run_id="run"}')
            seen[int(values.get("grpo_job_step", 0))] = values
            time.sleep(0.5)
        assert attempt.wait() == 0, attempt.said()
    steps = {step: values for step, values in seen.items() if 0 < step < STEPS}
    assert len(steps) >= 3, (tmp_path / "prometheus.log").read_text()
    rows = {row["step"]: row for row in read_jsonl(tmp_path / runs.RUN_ID / "metrics.jsonl")}
    before = read_json(tmp_path / runs.RUN_ID / "summary.json")["accuracy"]["before"]
    for step, values in steps.items():
        values = {name.removeprefix("grpo_job_"): value for name, value in values.items()}
        assert values["reward"] == pytest.approx(rows[step]["reward"])
        assert values["step_seconds"] == pytest.approx(rows[step]["time/step"])
        assert values["accuracy"] == pytest.approx(before)
        assert values["steps_planned"] == STEPS
        tokens = rows[step]["num_tokens"] - (rows[step - 1]["num_tokens"] if step > 1 else 0)
        assert values["tokens_per_second"] == pytest.approx(tokens / rows[step]["time/step"])
        assert values["cost_usd"] == pytest.approx(values["seconds"] / 1000, abs=1e-3)
        assert values["healthy"] == 1
