"""Rows from every kind of place; what holds none is refused in plain words."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from grpo_job.inputs.files import allowed
from grpo_job.inputs.sources import RowSource
from grpo_job.outcomes import InvalidRun, Outage
from tests.inputs.row_files import WRITERS, Row, as_csv, cache_of_its_own, jsonl, load, problems, refusal
from tests.servers.fixtures import as_the_door_sets_it, hub
from tests.servers.hub import HubServer

__all__ = ["as_the_door_sets_it", "cache_of_its_own", "hub"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_each_kind_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    write: Callable[[Path, Sequence[Row]], Path] = WRITERS[name]
    rows = load(write(tmp_path / name, problems(20)), system_prompt="Think.")
    assert rows.train_counts.read + rows.held_out_counts.read == 20
    row = next(row for row in (*rows.train, *rows.held_out) if row["question"] == "What is 7 plus 7?")
    assert row["answer"] == "14"
    assert row["prompt"] == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "What is 7 plus 7?"},
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_is_read_by_the_names_of_its_files(name: str, tmp_path: Path) -> None:
    write: Callable[[Path, Sequence[Row]], Path] = WRITERS[name]
    write(tmp_path / name.replace("rows", "train"), problems(8))
    write(tmp_path / name.replace("rows", "test"), problems(4, first=100))
    (tmp_path / "LICENSE").write_text("MIT")
    rows = load(tmp_path)
    assert (len(rows.train), len(rows.held_out)) == (8, 4)
    assert rows.held_out[0]["question"] == "What is 100 plus 100?"


def test_a_folder_without_such_names_is_one_split(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", problems(10))
    jsonl(tmp_path / "b.jsonl", problems(10, first=50))
    rows = load(tmp_path)
    assert rows.train_counts.read + rows.held_out_counts.read == 20


def test_an_empty_cell_of_a_csv_does_not_turn_its_column_into_fractions(tmp_path: Path) -> None:
    rows = load(
        as_csv(
            tmp_path / "rows.csv",
            [*({"question": f"q{n}", "answer": n} for n in range(12)), {"question": "e", "answer": ""}],
        )
    )
    assert {row["answer"] for row in (*rows.train, *rows.held_out)} == {str(n) for n in range(12)}
    assert rows.train_counts.unanswerable + rows.held_out_counts.unanswerable == 1


def test_a_word_in_a_csv_that_some_take_for_nothing_is_an_answer(tmp_path: Path) -> None:
    path = as_csv(
        tmp_path / "rows.csv",
        [{"question": f"q{n}", "answer": word} for n, word in enumerate(["NA", "null", "None"] * 4)],
    )
    rows = load(path)
    assert rows.train_counts.unanswerable + rows.held_out_counts.unanswerable == 0


@pytest.mark.parametrize("name", ["missing.jsonl", "/no/such/folder", "./nothing", "~/nothing-here"])
def test_a_path_that_is_not_there_is_refused_as_such(name: str) -> None:
    assert refusal(name) == f"GRPO_DATASET: {name!r} was given; there is no such file or folder"


def test_a_file_or_folder_that_holds_no_rows_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    text = tmp_path / "rows.txt"
    text.write_text("1+1=2")
    for place in (text, tmp_path):
        assert refusal(place).endswith(f"allowed: a file, or a folder with files, of {allowed()}")


def test_an_address_of_a_store_is_refused_where_rows_are_read(tmp_path: Path) -> None:
    assert refusal("ftp://bucket/rows").startswith("GRPO_DATASET: 'ftp://bucket/rows' was given; rows cannot be read")
    train = jsonl(tmp_path / "rows.jsonl", problems(6))
    assert refusal(train, eval_dataset="gs://bucket/rows").startswith("GRPO_EVAL_DATASET: 'gs://bucket/rows' was given")


def test_broken_rows_are_refused_with_what_is_wrong_and_not_with_the_librarys_wrapping(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "1+1", "answer": "2"}\n{"question":\n')
    said = refusal(path)
    assert said.startswith(f"GRPO_DATASET: '{path}' was given; it cannot be read: ")
    assert "JSON" in said
    assert "error occurred while generating" not in said


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.touch()
    assert "it cannot be read: " in refusal(path)


@pytest.fixture
def at_the_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub that the clients ask, with one dataset."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    hub.add_repo("someone/rows", {"train.jsonl": b""}, kind="dataset")
    return hub


def test_rows_of_the_hub_are_pinned_to_the_commit_that_it_has_now(at_the_hub: HubServer) -> None:
    now = at_the_hub.repos["dataset", "someone/rows"].branches["main"]
    pinned = RowSource("GRPO_DATASET", "someone/rows", "main", "main").pinned()
    assert (pinned.revision, pinned.commit, pinned.config) == (now, now, "main")


@pytest.mark.parametrize(
    ("name", "revision", "status", "code", "cure"),
    [
        ("someone/else", None, 0, "", "the Hub has no such dataset, or HF_TOKEN has no access to it"),
        ("someone/rows", "v9", 0, "", "no such GRPO_DATASET_REVISION"),
        ("someone/rows", None, 403, "GatedRepo", "accept its terms"),
        ("someone/rows", None, 500, "", "could not be reached (HfHubHTTPError): check the network, HF_ENDPOINT and"),
        ("no id/at/all", None, 0, "", "neither a file nor a folder nor a Hub id"),
    ],
)
def test_a_dataset_that_the_hub_does_not_give_is_refused_with_the_cure(
    name: str, revision: str | None, status: int, code: str, cure: str, at_the_hub: HubServer
) -> None:
    if status:
        at_the_hub.fail("GET", r"/api/datasets/someone/rows", status, times=99, X_Error_Code=code)
    said = refusal(name, dataset_revision=revision)
    assert said.startswith(f"GRPO_DATASET: {name!r} was given; ")
    assert cure in said


def test_a_hub_that_is_out_of_reach_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    said = "the Hub could not be reached (ConnectError): check the network, HF_ENDPOINT and HF_TOKEN"
    assert said in refusal("someone/rows")


def test_a_dataset_that_is_not_in_the_cache_of_a_job_kept_offline_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidRun) as caught:
        load("someone/rows")
    assert not isinstance(caught.value, Outage)
    assert "HF_HUB_OFFLINE is set, but the rows are not in the cache in HF_HOME: unset it" in str(caught.value)


@pytest.mark.parametrize(
    "reason",
    [
        "Config name is missing.\nPlease pick one among the available configs: ['main', 'socratic']",
        "BuilderConfig 'man' not found. Available: ['main', 'socratic']",
    ],
)
def test_a_configuration_that_a_dataset_of_the_hub_lacks_is_refused_with_those_that_exist(
    reason: str, at_the_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ValueError(reason)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    said = refusal("someone/rows", dataset_config="man")
    assert said.startswith("GRPO_DATASET_CONFIG: 'man' was given; someone/rows: ")
    assert "['main', 'socratic']" in said
