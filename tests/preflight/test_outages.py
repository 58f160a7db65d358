"""An outage is not a refusal: a run that cannot reach what it needs ends with 1, one that is refused with 2."""

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from grpo_job.inputs import base_model, sample
from grpo_job.outcomes import InvalidRun, Outage
from grpo_job.phases.name import name_run
from grpo_job.preflight import check, examine
from grpo_job.preflight.start import adopt
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from grpo_job.stores import Patience
from tests.servers.everywhere import rows_on_the_hub
from tests.servers.fault_proxy import FaultProxy
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.slow

EVERYTHING = {"GRPO_RECIPE": "smoke", "GRPO_MODEL": "sample", "GRPO_DATASET": "sample", "GRPO_OUTPUT_DIR": "/nowhere"}
Break = Callable[[FaultProxy], object]


def answers(status: int) -> Break:
    return lambda proxy: setattr(proxy, "rule", lambda *_: (status, b""))


def hangs_up(proxy: FaultProxy) -> None:
    proxy.share, proxy.kinds = 1, ("reset",)


OUTAGES = [pytest.param(answers(status), id=str(status)) for status in (429, 500, 502, 503, 504)]
OUTAGES.append(pytest.param(hangs_up, id="hangs up"))


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Patience(seconds=0.5, call=5, first_wait=0.1)
    for module in ("hub", "s3"):
        monkeypatch.setattr(f"grpo_job.stores.{module}.CHECK", short)
    monkeypatch.setattr("grpo_job.inputs.sources.FETCH", short)


@pytest.fixture
def hub_behind(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with FaultProxy(hub.url, share=0) as proxy:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", proxy.url)
        file = proxy.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", file)
        monkeypatch.setenv("HF_ENDPOINT", proxy.url)
        yield proxy


@pytest.fixture
def s3_behind(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with FaultProxy(s3.url, share=0) as proxy:
        for name, value in s3.environment(AWS_ENDPOINT_URL_S3=proxy.url).items():
            monkeypatch.setenv(name, value)
        yield proxy


def settings_of(**given: str) -> Settings:
    return resolve({**EVERYTHING, **{f"GRPO_{name}": value for name, value in given.items()}}).settings


def ended(settings: Settings, environment: dict[str, str]) -> InvalidRun:
    with pytest.raises(InvalidRun) as ending:
        check(settings, environment)
    return ending.value


@pytest.mark.parametrize("breaks", OUTAGES)
@pytest.mark.parametrize(
    "needed",
    [
        {"MODEL": "alice/small"},
        {"DATASET": "alice/rows"},
        {"PUBLISH_TO": "hf://alice/x"},
        {"ADAPTER": "hf://alice/start"},
    ],
)
def test_a_hub_that_is_down_is_an_outage(
    breaks: Break, needed: dict[str, str], hub: HubServer, hub_behind: FaultProxy
) -> None:
    breaks(hub_behind)
    said = ended(settings_of(**needed), {"HF_ENDPOINT": hub_behind.url, "HF_TOKEN": hub.token("alice")})
    assert (type(said), said.code) == (Outage, 1), said


@pytest.mark.parametrize("breaks", OUTAGES)
@pytest.mark.parametrize(
    "needed",
    [{"DATASET": "s3://bucket/rows.jsonl"}, {"CHECKPOINT_TO": "s3://bucket/kept"}, {"ADAPTER": "s3://bucket/start"}],
)
def test_an_s3_that_is_down_is_an_outage(
    breaks: Break, needed: dict[str, str], s3: S3Server, s3_behind: FaultProxy, no_waiting: None
) -> None:
    breaks(s3_behind)
    said = ended(settings_of(**needed), s3.environment(AWS_ENDPOINT_URL_S3=s3_behind.url))
    assert (type(said), said.code) == (Outage, 1), said


def test_a_run_is_not_named_without_the_start_adapter_that_cannot_be_reached_now(
    hub: HubServer, hub_behind: FaultProxy
) -> None:
    answers(503)(hub_behind)
    given = resolve({**EVERYTHING, "GRPO_ADAPTER": "hf://alice/start"})
    with pytest.raises(Outage, match="GRPO_ADAPTER: 'hf://alice/start' was given; "):
        adopt(given, {"HF_ENDPOINT": hub_behind.url, "HF_TOKEN": hub.token("alice")})


def test_a_hub_that_goes_down_while_rows_are_downloaded_is_an_outage(
    hub: HubServer, hub_behind: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
    hub.add_repo("alice/rows", rows_on_the_hub(), kind="dataset")
    hub_behind.rule = lambda method, path, headers: None if path.startswith("/api/datasets/alice/rows") else (503, b"")
    assert ended(settings_of(DATASET="alice/rows", DATASET_CONFIG="main"), {}).code == 1


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_refused_beside_an_outage_is_refused(status: int, hub: HubServer, hub_behind: FaultProxy) -> None:
    hub_behind.rule = lambda method, path, headers: (503 if "/api/models" in path else status, b"")
    settings = settings_of(MODEL="alice/small", PUBLISH_TO="hf://alice/x")
    said = ended(settings, {"HF_ENDPOINT": hub_behind.url, "HF_TOKEN": hub.token("alice")})
    assert (type(said), said.code) == (InvalidRun, 2)


def test_check_says_which_of_both_it_is(hub: HubServer, hub_behind: FaultProxy) -> None:
    answers(503)(hub_behind)
    settings = settings_of(MODEL="alice/small", REPORT_TO="tensorboard")
    (failed,) = [finding for finding in examine(settings, {}).findings if finding.status == "failed"]
    assert failed.outage
    assert failed.sentence.startswith("an outage, try again later: GRPO_MODEL: 'alice/small' was given; ")


def test_check_exits_as_the_run_would(hub: HubServer, hub_behind: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    from grpo_job import cli

    codes: list[int] = []
    monkeypatch.setattr("grpo_job.runtime.process_exit.end_process", codes.append)
    monkeypatch.setenv("GRPO_MODEL", "alice/small")
    answers(503)(hub_behind)
    found = CliRunner().invoke(cli.main, ["check", "--json"], obj=Interruption())
    assert codes == [1]
    assert not json.loads(found.stdout)["ok"]
    answers(404)(hub_behind)
    CliRunner().invoke(cli.main, ["check", "--json"], obj=Interruption())
    assert codes == [1, 2]


def test_a_run_is_not_begun_under_another_name_while_its_rows_are_out_of_reach(
    hub: HubServer, hub_behind: FaultProxy
) -> None:
    answers(503)(hub_behind)
    settings = settings_of(DATASET="alice/rows")
    with pytest.raises(Outage):
        name_run(settings, {})
    assert name_run(settings.model_copy(update={"run_id": "mine"}), {}).settings.name_of_run() == "mine"


@pytest.mark.parametrize("kind", ["truncated", "reset"])
def test_a_model_whose_files_arrive_cut_short_is_an_outage(
    kind: str,
    hub: HubServer,
    hub_behind: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_waiting: None,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub.add_repo("alice/small", {path.name: path.read_bytes() for path in sample.MODEL.iterdir()})
    hub_behind.share, hub_behind.kinds = 1, (kind,)
    hub_behind.rule = lambda method, path, headers: forward(hub, path) if path.startswith("/api/") else None
    with pytest.raises(Outage):
        base_model.fetch("alice/small", None)


def test_a_model_whose_files_arrive_damaged_is_fetched_again(
    hub: HubServer, hub_behind: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    files = {path.name: path.read_bytes() for path in sample.MODEL.iterdir()}
    hub.add_repo("alice/small", files)
    hub.large_url = hub_behind.url.replace("127.0.0.1", "localhost")
    hub_behind.share, hub_behind.kinds = 1, ("rotten",)
    with pytest.raises(Outage, match="arrived damaged: try again"):
        base_model.fetch("alice/small", None)
    hub_behind.share = 0
    for _ in files:  # each attempt finds one of those that the cache has
        with contextlib.suppress(Outage):
            base_model.fetch("alice/small", None)
    arrived = base_model.fetch("alice/small", None).folder
    assert {path.name: path.read_bytes() for path in arrived.iterdir()} == {
        name: content for name, content in files.items() if (arrived / name).exists()
    }


def forward(hub: HubServer, path: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(hub.url + path) as answer:
        return answer.status, answer.read()
