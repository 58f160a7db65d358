"""What Prometheus scrapes and what a container's platform reads."""

import socket
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from grpo_job.monitoring.metrics_server import MetricsServer, leave_message
from grpo_job.outcomes import InvalidRun, Outcome
from grpo_job.settings.reader import resolve

ANY_FREE_PORT = 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scraped(signs: MetricsServer) -> dict[str, tuple[float, dict[str, str]]]:
    """As Prometheus reads it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{signs._server.server_port}/metrics", timeout=60) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    return {sample.name: (sample.value, sample.labels) for family in families for sample in family.samples}


def test_a_step_is_scraped_with_the_name_of_the_run() -> None:
    signs = MetricsServer(ANY_FREE_PORT, "run-7")
    try:
        metrics = {"reward": 1.5, "time/step": 2.0, "gpu_memory_gib": 3.0, "completions/clipped_ratio": 0.25}
        signs.step(6, 250, {"num_tokens": 10_000.0, "time/step": 9.0})
        signs.step(7, 250, {**metrics, "num_tokens": 14_000.0})
        signs.set(cost_usd=0.5, accuracy=0.75)
        found = scraped(signs)
    finally:
        signs.close()
    assert found["grpo_job_step"] == (7, {"run_id": "run-7"})
    values = {name.removeprefix("grpo_job_"): value for name, (value, _) in found.items()}
    assert values["steps_planned"] == 250
    assert values["reward"] == 1.5
    assert values["tokens_per_second"] == 2000
    assert values["gpu_memory_peak_bytes"] == 3 * 2**30
    assert (values["cost_usd"], values["accuracy"], values["completions_clipped"]) == (0.5, 0.75, 0.25)
    assert values["healthy"] == 1


def test_of_a_resumed_run_no_speed_is_told_before_its_second_step() -> None:
    with closing(MetricsServer(ANY_FREE_PORT, "run")) as signs:
        signs.step(8, 250, {"num_tokens": 80_000.0, "time/step": 1.0})
        assert "grpo_job_tokens_per_second" not in scraped(signs)
        signs.step(9, 250, {"num_tokens": 85_000.0, "time/step": 2.0})
        assert scraped(signs)["grpo_job_tokens_per_second"][0] == 2500
    with pytest.raises(OSError, match="refused"):
        scraped(signs)


def test_a_finding_of_health_is_seen() -> None:
    signs = MetricsServer(ANY_FREE_PORT, "run")
    try:
        signs.set(healthy=0)
        assert scraped(signs)["grpo_job_healthy"][0] == 0
    finally:
        signs.close()


def test_without_a_port_nothing_is_opened() -> None:
    signs = MetricsServer(None, "run")
    signs.step(1, 2, {"reward": 1.0})
    signs.set(cost_usd=1.0)
    signs.close()


@pytest.mark.parametrize(("given", "heard"), [({}, "127.0.0.1"), ({"GRPO_METRICS_ADDRESS": "0.0.0.0"}, "0.0.0.0")])
def test_metrics_are_heard_on_this_machine_alone_unless_another_address_is_set(
    given: dict[str, str], heard: str
) -> None:
    with closing(MetricsServer(ANY_FREE_PORT, "run", resolve(given).settings.metrics_address)) as signs:
        assert signs._server.server_address[0] == heard


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InvalidRun, match=r"GRPO_METRICS_ADDRESS=192\.0\.2\.1"):
        MetricsServer(ANY_FREE_PORT, "run", "192.0.2.1")


def test_what_is_no_address_is_refused_with_the_settings() -> None:
    with pytest.raises(InvalidRun, match=r"GRPO_METRICS_ADDRESS: 'localhost' was given; .*such as 127\.0\.0\.1"):
        resolve({"GRPO_METRICS_ADDRESS": "localhost"})


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with pytest.raises(InvalidRun, match="GRPO_METRICS_PORT"):
            MetricsServer(taken.getsockname()[1], "run")


def test_the_ending_is_left_for_the_platform(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    file.touch()
    assert leave_message(Outcome(4, "hopeless", "no group had any spread"), str(file))
    assert file.read_text() == "hopeless (exit 4): no group had any spread"


def test_a_long_reason_is_cut_at_a_whole_letter(tmp_path: Path) -> None:
    file = tmp_path / "log"
    assert leave_message(Outcome(1, "unexpected", "ä" * 5000), str(file))
    assert len(file.read_bytes()) <= 4096
    assert file.read_text().endswith("ä")


def test_where_it_cannot_be_written_nothing_fails(tmp_path: Path) -> None:
    assert not leave_message(Outcome(0, "finished", "well"), str(tmp_path / "missing" / "log"))
    assert not leave_message(Outcome(0, "finished", "well"), "/dev/no-such-termination-log")
    assert not Path("/dev/no-such-termination-log").exists()
