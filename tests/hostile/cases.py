"""Hostile model folders, rows, templates, configs, checkpoints and runs, each drawn by a seed."""

import gzip
import json
import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet

from grpo_job.inputs import sample
from grpo_job.settings.reader import resolve
from tests.hostile import values
from tests.phases.test_reevaluate import adapter_in
from tests.preflight.test_hostile_models import HOSTILE

ABSURD = (2**36).to_bytes(8, "little") + b"{}"
GRADER = "import os\nos.mkdir({!r})\ndef grade(completion, answer): return 1.0\n"


class Case(NamedTuple):
    """What was made; the settings that name it; the tree itself, for commands that take one."""

    what: str
    settings: dict[str, str]
    tree: Path


@cache
def _bomb() -> bytes:
    """A megabyte that unpacks to more than one gigabyte."""
    return gzip.compress(bytes(2**26)) * 17


def _model(folder: Path) -> Path:
    shutil.copytree(sample.MODEL, folder / "model")
    return folder / "model"


def _folder(dice: random.Random, folder: Path) -> Case:
    kind, model = dice.choice(sorted(HOSTILE)), _model(folder)
    if kind == "no template":
        (model / "chat_template.jinja").unlink()
    HOSTILE[kind][0](model)
    return Case(kind, {"GRPO_MODEL": str(model)}, model)


def _config(dice: random.Random, folder: Path) -> Case:
    model = _model(folder)
    name = dice.choice(("config.json", "tokenizer_config.json", "generation_config.json", "GRPO_CONFIG"))
    if name == "GRPO_CONFIG":
        number = dice.randrange(len(values.CONFIGS))
        suffix, text = values.CONFIGS[number]
        (folder / f"job{suffix}").write_text(text)
        return Case(f"{name} {number}", {name: str(folder / f"job{suffix}")}, model)
    (model / name).write_bytes(values.text_of(dice, json.loads((model / name).read_text())))
    return Case(name, {"GRPO_MODEL": str(model)}, model)


def _template(dice: random.Random, folder: Path) -> Case:
    number, model = dice.randrange(len(values.TEMPLATES)), _model(folder)
    path = dice.choice((model / "chat_template.jinja", folder / "given.jinja"))
    path.write_text(values.TEMPLATES[number] + dice.choice(("", "{{ messages[-1].content }}")), errors="surrogatepass")
    given = {} if path.parent == model else {"GRPO_CHAT_TEMPLATE": str(path)}
    return Case(f"template {number}", {"GRPO_MODEL": str(model), **given}, model)


def _rows(dice: random.Random, folder: Path) -> Case:
    forms = ("lines", "lines", "lines", "bomb", "pipe", "link", "parquet", "csv", "readme", "column", "snapshots")
    form = dice.choice(forms)
    path = folder / ("snapshots/rows" if form == "snapshots" else "rows")
    path.mkdir(parents=True)
    good = ['{"question": "What is 1 + 1?", "answer": "2"}'] * 8
    lines = "\n".join([*good, *(dice.choice(values.ROWS) for _ in range(dice.choice((1, 3))))])
    if form == "bomb":
        (path / "train.jsonl.gz").write_bytes(_bomb())
    elif form == "pipe":
        os.mkfifo(path / "train.jsonl")
    elif form == "column":
        column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 10**6, "int32"), pyarrow.array(["a" * 10**5]))
        pyarrow.parquet.write_table(pyarrow.table({"question": column}), path / "train.parquet")
    elif form in ("link", "snapshots"):
        (path / "train.jsonl").symlink_to(folder.parent / "private")
    else:
        suffix = {"lines": "jsonl", "readme": "jsonl"}.get(form, form)
        (path / f"train.{suffix}").write_text(lines, errors="surrogatepass")
    if form == "readme":
        (path / "README.md").write_text(dice.choice(values.READMES))
    return Case(f"rows, {form}", {"GRPO_DATASET": str(path)}, path)


def _run(dice: random.Random, folder: Path) -> Case:
    """The folder of a run, whose settings and files are another's."""
    run = folder / "outputs" / "run"
    adapter_in(run / "adapter", base_model_name_or_path="sample")
    told = resolve({"GRPO_RECIPE": "smoke"}).settings.model_dump(mode="json")
    told |= {name: dice.choice(values.VALUES) for name in dice.sample(sorted(told), 3)}
    if dice.random() < 0.5:
        told |= {"rewards": [[dice.choice(("grader.grade", "./grader.py::grade")), 1]], "reward_path": str(run)}
    for place in (run, folder):
        (place / "grader.py").write_text(GRADER.format(str(folder.parent / "canary")))
    (run / "settings.json").write_text(json.dumps({"settings": told, "from": {}}))
    what = dice.choice(("settings", *PLANTS))
    if what in PLANTS:
        PLANTS[what](dice, run)
    named = dice.choice(({"GRPO_MODEL": str(run)}, {"GRPO_DATASET": str(run)}))
    return Case(f"run, {what}", named, run)


def _checkpoint(dice: random.Random, folder: Path) -> Case:
    """A run folder with a checkpoint that is another's."""
    case = _run(dice, folder)
    step = case.tree / "checkpoints" / "step-000002"
    adapter_in(step)
    manifest: dict[str, Any] = {"step": 2, "identity": {}, "files": {}}
    manifest["files"] = {name: {"bytes": 8, "sha256": "x"} for name in dice.sample(values.NAMES, 2)}
    (step / "manifest.json").write_bytes(values.text_of(dice, manifest))
    (step / "optimizer.pt").write_bytes(b"cos\nmkdir\n(S'canary'\ntR.")
    (step / "metrics.jsonl").write_text(dice.choice(values.ROWS) + "\n")
    named = dice.choice(({"GRPO_MODEL": str(step)}, {"GRPO_DATASET": str(step)}))
    return case._replace(what=f"checkpoint, {case.what}", settings=named)


def _linked(name: str) -> Callable[[random.Random, Path], None]:
    def link(dice: random.Random, run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).symlink_to(run.parents[2] / dice.choice(("private", "away")))

    return link


def _piped(name: str) -> Callable[[random.Random, Path], None]:
    def pipe(dice: random.Random, run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        os.mkfifo(run / name)

    return pipe


def _adapter(dice: random.Random, run: Path) -> None:
    path = run / "adapter" / "adapter_config.json"
    path.write_bytes(values.text_of(dice, json.loads(path.read_text())))


def _beside(name: str, **told: Any) -> Callable[[random.Random, Path], None]:
    """A configuration beside the adapter."""

    def write(dice: random.Random, run: Path) -> None:
        path = run / "adapter" / name
        known = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**known, **told}))

    return write


def _hard_link(dice: random.Random, run: Path) -> None:
    (run / "adapter" / dice.choice(("handler.py", "vocab.txt"))).hardlink_to(run.parents[2] / "private")


def _templates(dice: random.Random, run: Path) -> None:
    (run / "adapter" / "additional_chat_templates").mkdir()
    for name in ("chat_template.jinja", "additional_chat_templates/tools.jinja"):
        (run / "adapter" / name).write_text(dice.choice(values.TEMPLATES), errors="surrogatepass")


def _written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


PLANTS: dict[str, Callable[[random.Random, Path], None]] = {
    "linked file": _linked("adapter/vocab.txt"),
    "linked plot": _linked("plots/accuracy.png"),
    "linked report": _linked("report.html"),
    "linked folder": _linked("evaluation"),
    "linked metrics": _linked("metrics.jsonl"),
    "pipe": _piped("summary.json"),
    "pipe of metrics": _piped("metrics.jsonl"),
    "adapter's config": _adapter,
    "absurd header": lambda dice, run: _written(run / "adapter" / "adapter_model.safetensors", ABSURD),
    "code of an adapter": _beside("adapter_config.json", auto_mapping={"parent_library": "grader"}),
    "code of a tokenizer": _beside("tokenizer_config.json", auto_map={"AutoTokenizer": ["grader.Grader", None]}),
    "base elsewhere": _beside("adapter_config.json", base_model_name_or_path="../../.."),
    "regex of layers": _beside("adapter_config.json", target_modules="(a+)+$"),
    "hard link": _hard_link,
    "templates": _templates,
    "deep metrics": lambda dice, run: _written(run / "metrics.jsonl", values.DEEP.encode() + b"\n"),
}  # fmt: skip
KINDS: dict[str, Callable[[random.Random, Path], Case]] = {
    "folders": _folder, "configs": _config, "templates": _template, "rows": _rows, "runs": _run,
    "checkpoints": _checkpoint,
}  # fmt: skip
