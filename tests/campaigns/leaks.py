"""Plants 12 spellings of 8 secrets into 10 places, and looks for them in every output.

    python -m tests.campaigns.leaks

One line a place and a final count. The outputs are standard output and error, the run folder with the log of the
libraries, the termination message, the published tree and what `check --json` prints. A place that no planting
reached counts as a fault: there something was hidden, or the run was refused.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve
from tests.campaigns.canaries import HIDDEN, Planting, environment, files_below, found, plantings
from tests.servers.trained_run import make_run

ROOT = Path(__file__).resolve().parents[2]
REWARD = """
import json, logging, os, warnings
from pathlib import Path

PLANTED = json.loads(Path(__file__).with_name("planted.json").read_text())


def say():
    for text in PLANTED:
        {say}


def reward(completion: str, answer: str) -> float:
    say()
    return float(len(completion) % 2)
"""
SAYINGS = {
    "printed by a reward": "print(text)",
    "written by C code": "os.write(2, text.encode() + b'\\n')",
    "warned and logged": "warnings.warn(text), logging.getLogger('a').error('%r', text)",
    "raised by a reward": "raise RuntimeError(f'refused: {PLANTED}')",
}


class World(NamedTuple):
    folder: Path
    environment: dict[str, str]
    planted: list[Planting]

    def job(self, *command: str, **more: str) -> bytes:
        """Run a command of the job; all that it says."""
        grpo_job = [sys.executable, "-c", "from grpo_job.cli import main; main()", *command]
        given = {**self.environment, "GRPO_OUTPUT_DIR": str(self.folder / "outputs"), **more}
        done = subprocess.run(grpo_job, cwd=self.folder, env=given, capture_output=True, timeout=600, check=False)
        return done.stdout + done.stderr

    def smoke(self, name: str, **more: str) -> dict[str, bytes]:
        """A short run on the CPU; all its outputs."""
        told = self.job(
            "run", GRPO_RECIPE="smoke", GRPO_MAX_STEPS="1", GRPO_RUN_ID=name, GRPO_EVAL_ROWS="96",
            GRPO_TERMINATION_LOG=str(self.folder / "message"), **more,
        )  # fmt: skip
        message = self.folder / "message"
        return {
            f"{name}: said": told,
            **({f"{name}: message": message.read_bytes()} if message.exists() else {}),
            **files_below(self.folder / "outputs"),
        }


@contextmanager
def opened(planted: list[Planting]) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        given = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        yield World(folder, {**given, **environment(folder / "home")}, planted)


def in_settings(world: World) -> dict[str, bytes]:
    """Each is refused before anything is run."""
    outputs = {}
    for number, planting in enumerate(world.planted):
        try:
            resolve({**world.environment, "GRPO_SYSTEM_PROMPT": planting.text}, {"dataset": planting.text})
        except InvalidRun as refusal:
            outputs[f"refusal {number}"] = str(refusal).replace("a value (not shown)", HIDDEN.decode()).encode()
    whole = json.dumps([planting.text for planting in world.planted])
    for command in (["run"], ["check", "--json"], ["check"]):
        told = world.job(*command, "--set", f"sample_prompts={whole}", "--set", f"nonsense={whole}")
        outputs[" ".join(command)] = told.replace(b"a value (not shown)", HIDDEN)
    return outputs if all(HIDDEN in told for told in outputs.values()) else {}


def in_rows(world: World) -> dict[str, bytes]:
    """Held-out questions, which are evaluated, kept, reported and published."""
    rows = [{"question": planting.text, "answer": "1"} for planting in world.planted]
    path = world.folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world.folder / "published").mkdir()
    outputs = world.smoke(
        "rows", GRPO_EVAL_DATASET=str(path), GRPO_PUBLISH_TO=f"file://{world.folder}/published", GRPO_LOG_FORMAT="json"
    )
    return {**outputs, **files_below(world.folder / "published")}


def in_a_template(world: World) -> dict[str, bytes]:
    """The chat template of the model refuses, in its own words."""
    model = shutil.copytree(sample.MODEL, world.folder / "model")
    whole = json.dumps([planting.text for planting in world.planted])
    (model / "chat_template.jinja").write_text(f"{{{{ raise_exception({json.dumps(whole)}) }}}}")
    given = {"GRPO_RECIPE": "smoke", "GRPO_MODEL": str(model)}
    return {"check": world.job("check", **given), "check --json": world.job("check", "--json", **given)}


def in_a_folder(world: World) -> dict[str, bytes]:
    """Files of a run folder of an earlier version, which redacted less: none is published."""
    outputs = {}
    for number, planting in enumerate(world.planted[:: len(world.planted) // 8]):
        run = make_run(world.folder / "outputs" / f"earlier-{number}")
        (run / "adapter" / "tokenizer.json").write_text(planting.text)
        shutil.rmtree(world.folder / "there", ignore_errors=True)
        (world.folder / "there").mkdir()
        told = world.job("publish", str(run), "--to", f"file://{world.folder}/there")
        assert b"tokenizer.json contains the value of a secret" in told, told
        outputs |= {f"publish {number}": told + HIDDEN, **files_below(world.folder / "there")}
    return outputs


def in_an_answer_of_a_store(world: World) -> dict[str, bytes]:
    """The Hub refuses, and repeats what it was sent."""
    message = json.dumps([planting.text for planting in world.planted])

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(400)
            self.send_header("X-Error-Message", message)
            self.end_headers()
            self.wfile.write(json.dumps({"error": message}).encode())

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    run = make_run(world.folder / "outputs" / "unpublished")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://me:an-inline-password@127.0.0.1:{server.server_address[1]}"
        told = world.job("publish", str(run), "--to", "hf://owner/adapter", HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="0")
        server.shutdown()
    assert b"an-inline-password" not in told
    return {"publish": told}


def in_a_crash(world: World) -> dict[str, bytes]:
    """What a command does not expect, with its traceback."""
    whole = [planting.text for planting in world.planted]
    code = f"""
import grpo_job.cli, grpo_job.reports
def build(*_): raise OSError({whole!r}, {json.dumps(whole)!r})
grpo_job.reports.rebuild = build
grpo_job.cli.main()
"""
    command = [sys.executable, "-c", code, "report", str(world.folder)]
    done = subprocess.run(command, env=world.environment, cwd=world.folder, capture_output=True, check=False)
    return {"report": done.stdout + done.stderr}


def by_a_reward(way: str) -> Callable[[World], dict[str, bytes]]:
    def place(world: World) -> dict[str, bytes]:
        folder = world.folder / way.split()[0]
        folder.mkdir()
        (folder / "planted.json").write_text(json.dumps([planting.text for planting in world.planted]))
        (folder / "talks.py").write_text(REWARD.replace("{say}", SAYINGS[way]))
        return world.smoke(folder.name, GRPO_REWARDS=f"{folder}/talks.py::reward:1", GRPO_PROBE_PROMPTS="0")

    return place


PLACES: dict[str, Callable[[World], dict[str, bytes]]] = {
    "settings": in_settings,
    "rows": in_rows,
    "chat template": in_a_template,
    "folder to publish": in_a_folder,
    "answer of a store": in_an_answer_of_a_store,
    "crash": in_a_crash,
    **{way: by_a_reward(way) for way in SAYINGS},
}


def main(places: tuple[str, ...] = tuple(PLACES), planted: list[Planting] | None = None) -> bool:
    """Whether no planting was found in any output, and each place was reached."""
    planted = plantings() if planted is None else planted
    faults, looked_through = [], 0
    for name in places:
        with opened(planted) as world:
            outputs = PLACES[name](world)
        faults += [*found(planted, outputs)] or ([] if HIDDEN in b"".join(outputs.values()) else [f"{name}: missed"])
        looked_through += len(outputs)
        print(f"{name}: {len(planted)} planted, {len(outputs)} outputs, {len(faults)} faults so far", flush=True)
    print(*faults[:40], sep="\n", flush=True)
    total = f"{len(planted)} spellings of secrets in {len(places)} places, {looked_through} outputs"
    print(f"secrets: {total}, {len(faults)} faults", flush=True)
    return not faults


if __name__ == "__main__":
    sys.exit(not main())
