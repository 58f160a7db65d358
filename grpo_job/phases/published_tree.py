"""Publishes a run as one tree, and verifies that it arrived.

The adapter is at the root, the rest under `run/`, a merged model under `merged/`, and last `manifest.json` with
the SHA-256 of each file. The tree is staged outside the run folder, so pickles, optimizer state and local paths never
reach a store. Publishing again sends only what is missing.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from grpo_job.outcomes import FINISHED, InvalidRun
from grpo_job.reports import hub_results
from grpo_job.run_folder import scratch
from grpo_job.run_folder.paths import require_plain
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.settings.redaction.secrets import secret_values
from grpo_job.stores import MANIFEST, Patience, StoreFailed, open_store
from grpo_job.stores.trees import manifest_of

# Pickles can run code when loaded; the rest is of no use to others, or private.
PICKLES = ("training_args.bin", "*.bin", "*.joblib", "*.pickle", "*.pkl", "*.pt", "*.pth")
NEVER = (*PICKLES, "optimizer*", "scheduler*", "rng_state*", "trainer_state.json", "*.key", "*.pem", ".*")
RUN_FILES = (
    "settings.json", "environment.json", "metrics.jsonl", "completions.jsonl", "summary.json", "verify.json",
    "report.html",
)  # fmt: skip
RUN_FOLDERS = ("evaluation", "plots")
# Of what is left: other files, such as handler.py, some hosts run.
SUFFIXES = (
    ".json", ".jsonl", ".safetensors", ".jinja", ".txt", ".model", ".vocab", ".md", ".html", ".csv", ".png", ".svg",
)  # fmt: skip
# Text files that the job writes. In tokenizer files, what looks like a path may be a token.
OURS = ("run/*.json", "run/*.jsonl", "run/*.html", "run/*.csv", "README.md", "adapter_config.json")


LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


@dataclass(frozen=True)
class Published:
    """The result for one destination: verified at a revision, or the reason why not."""

    uri: str
    revision: str = ""
    verified: bool = False
    failure: str = ""


def publish(
    run_folder: Path,
    destinations: Sequence[str],
    *,
    private: bool = True,
    environment: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> list[Published]:
    """Publish a run to every destination in parallel and verify it; one failure does not stop the others.

    No secret of the `environment` may be in what is published, and no local path.
    """
    REDACTOR.know(secret_values(environment or {}))
    with scratch.temporary("publish") as tree:
        gather(run_folder, tree)

        def one(uri: str) -> Published:
            store = open_store(uri, private=private, environment=environment, patience=patience)
            revision = store.put(tree)
            wrong = ", ".join(store.differences(tree, revision=revision))
            failure = f"{uri}: the published files differ in {wrong}: publish again." if wrong else ""
            return Published(uri, revision, verified=not wrong, failure=failure)

        if leaks := sorted(_leaks(tree)):
            sentence = f"{', '.join(leaks)} contains the value of a secret: remove it there."
            return [Published(uri, failure=sentence) for uri in destinations]
        return _at_once(one, destinations)


def gather(run_folder: Path, tree: Path) -> None:
    """Fill the empty folder `tree` with what is published of a run. Raises `InvalidRun` if it leads elsewhere."""
    require_plain(run_folder)
    if not (run_folder / "adapter").is_dir():
        raise InvalidRun(f"{run_folder} has no adapter/ to publish: give the folder of a trained run.")
    hidden = _own_places(run_folder)
    for name, path in _chosen(run_folder):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if any(fnmatch(name, pattern) for pattern in OURS):
            target.write_bytes(_shareable(path, hidden))
        else:
            target.symlink_to(path.resolve())
    (tree / MANIFEST).write_bytes(manifest_of(tree, run_id=run_folder.resolve().name))


def lasting_files(run_folder: Path) -> list[Path]:
    """What is published of a run and not written again by the attempt that only publishes; without a merged model."""
    rewritten = [run_folder / name for name in ("summary.json", "settings.json")]
    found = [path for name, path in _chosen(run_folder) if not name.startswith("merged/")]
    return [path for path in found if path not in rewritten]


def _own_places(run_folder: Path) -> dict[str, str]:
    runs = dict.fromkeys((run_folder.resolve(), run_folder.absolute()), ".")
    above = {folder.parent: ".." for folder in runs}
    places = {**_known(Path.home, "~"), **above, **runs, **_known(Path.cwd, ".")}
    return {str(folder): name for folder, name in places.items() if folder.name}


def _known(place: Callable[[], Path], name: str) -> dict[Path, str]:
    try:
        return {place(): name}
    except (RuntimeError, OSError):  # a user without a home, as in many containers; a working folder that is gone
        return {}


def _chosen(run_folder: Path) -> Iterator[tuple[str, Path]]:
    """Each published file's name in the tree and its path in the run folder."""
    yield from _below(run_folder / "adapter", "")
    if (run_folder / "adapter" / hub_results.FILE).is_file():  # among names that are else never published
        yield hub_results.FILE.as_posix(), run_folder / "adapter" / hub_results.FILE
    yield from _below(run_folder / "merged", "merged/")
    for name in RUN_FILES:
        if (run_folder / name).is_file():
            yield f"run/{name}", run_folder / name
    for name in RUN_FOLDERS:
        yield from _below(run_folder / name, f"run/{name}/")


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix not in SUFFIXES or any(fnmatch(part, pattern) for part in name.parts for pattern in NEVER):
            continue
        if path.is_file():
            yield f"{prefix}{name.as_posix()}", path


def _shareable(path: Path, hidden: Mapping[str, str]) -> bytes:
    """The text without local paths; a summary as it will be after publishing has succeeded."""
    content = path.read_bytes()
    if path.name == "summary.json":
        content = json.dumps(_settled(json.loads(content)), indent=2).encode() + b"\n"
    for place in sorted(hidden, key=len, reverse=True):
        # Not inside a longer name: /runs in /runs-of-mine, or in https://host/runs.
        alone = rb"(?:(?<=file://)|(?<![\w.:/-]))" + re.escape(place.encode()) + rb"(?![\w.-])"
        content = re.sub(alone, hidden[place].encode().replace(b"\\", rb"\\"), content)
    return content


def _settled(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary without what changes after the report is written, so that publishing again is a no-op."""
    settled = {key: value for key, value in summary.items() if key not in ("attempts", "fruitless_attempts", "records")}
    settled |= {"ending": FINISHED._asdict(), "published": []}
    for key in ("seconds", "cost"):
        if isinstance(spent := summary.get(key), dict):
            settled[key] = {phase: value for phase, value in spent.items() if phase not in ("publish", "total")}
    return settled


def _leaks(tree: Path) -> Iterator[str]:
    """The files that hold a secret, in their content or their name."""
    for path in tree.rglob("*"):
        name = path.relative_to(tree).as_posix()
        if path.is_file() and (REDACTOR.finds(name) or REDACTOR.finds(_text_of(path))):
            yield REDACTOR.text(name)


def _text_of(path: Path) -> str:
    """The content; of weights only the header, which can hold any text."""
    with path.open("rb") as file:
        is_weights = path.suffix == ".safetensors"
        length = int.from_bytes(file.read(8), "little") if is_weights else -1
        return file.read(min(length, LONGEST_HEADER)).decode(errors="surrogateescape")


def _at_once(work: Callable[[str], Published], uris: Sequence[str]) -> list[Published]:
    """Daemon threads: a signal must not wait for a store."""
    results: dict[str, Published] = {}

    def run(uri: str) -> None:
        try:
            results[uri] = work(uri)
        except (StoreFailed, InvalidRun) as failure:
            results[uri] = Published(uri, failure=str(failure))
        except Exception as error:
            # Reported per destination like any other failure, so that the others go on.
            results[uri] = Published(uri, failure=f"{uri}: {type(error).__name__}: {' '.join(str(error).split())}")

    threads = [threading.Thread(target=run, args=(uri,), daemon=True) for uri in dict.fromkeys(uris)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[uri] for uri in dict.fromkeys(uris)]
