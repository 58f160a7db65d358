"""The adapter's model card: front matter by huggingface_hub, text by a template. No network."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from grpo_job.reports import content, formatting, hub_results, loaded_back, markdown, questions
from grpo_job.reports.run_data import RunData, read
from grpo_job.run_folder.files import read_json, write_text
from grpo_job.settings.engines import ENGINES

if TYPE_CHECKING:
    import jinja2
    from huggingface_hub import EvalResult, ModelCardData

HERE = Path(__file__).parent
PLOTS = ("accuracy", "reward")
LORA_RANKS_OF_VLLM = (8, 16, 32, 64, 128, 256, 320, 512)  # what its `max_lora_rank` accepts
HUB_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
VERIFIED = "<!-- verified -->", "<!-- end of verified -->"
PROJECTS = ("grpo", "lora", "trl")


class Base(NamedTuple):
    """The 16-bit base model: its name, and its Hub id and commit if it is on the Hub."""

    name: str
    hub_id: str | None
    revision: str | None


def write(run_folder: Path, licence: Mapping[str, str] | None = None) -> Path:
    """`adapter/README.md`, in a published tree the README at its root, and the Hub's file of results beside it.

    `licence` is from the base model's card: `license`, and if that is "other", `license_name` and `license_link`.
    """
    run = read(run_folder)
    adapter = run.folder.adapter if run.folder.path == run_folder else run_folder
    path = adapter / "README.md"
    write_text(path, card(run, base_of(run, adapter), licence or {}))
    hub_results.write(run, adapter)
    return path


def card(run: RunData, base: Base, licence: Mapping[str, str]) -> str:
    from huggingface_hub import ModelCard

    front = metadata(run, base, licence).to_yaml(line_break="\n")
    return str(ModelCard(f"---\n{front}\n---\n{_body(run, base)}"))


def note(path: Path, sentence: str) -> None:
    """Replace what the card at `path` says of `grpo-job verify`; a card without a place for it stays as it is."""
    text, said = path.read_text(encoding="utf-8"), f"{VERIFIED[0]}\n{markdown.safe(sentence)}\n{VERIFIED[1]}"
    between = re.compile(rf"{VERIFIED[0]}\n.*?{VERIFIED[1]}", re.DOTALL)
    write_text(path, between.sub(lambda _: said, text, count=1))


def base_of(run: RunData, adapter: Path) -> Base:
    """The 16-bit base in the adapter's config, else GRPO_MODEL; on the Hub if the run recorded a commit."""
    found = run.environment.get("model") or {}
    configured = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    name = str(configured or found.get("name") or run.settings.get("model") or "unknown")
    on_hub = found.get("commit") and HUB_ID.fullmatch(name)
    revision = found.get("commit") if name == found.get("name") else None
    return Base(name if on_hub else formatting.clean(name), name if on_hub else None, revision)


def metadata(run: RunData, base: Base, licence: Mapping[str, str]) -> "ModelCardData":
    """The front matter, without a base or rows that are not on the Hub."""
    from huggingface_hub import ModelCardData

    rows = run.environment.get("dataset") or {}
    engine = ENGINES.get(run.environment.get("engine", ""))
    return ModelCardData(
        base_model=base.hub_id,
        datasets=[rows["name"]] if rows.get("commit") else None,
        eval_results=results(run) or None,
        library_name="peft",
        model_name=run.name,
        pipeline_tag="text-generation",
        tags=[*PROJECTS, *(engine.card_tags if engine else ())],
        base_model_relation="adapter" if base.hub_id else None,
        license=licence.get("license"),
        license_name=licence.get("license_name"),
        license_link=licence.get("license_link"),
    )


def results(run: RunData) -> "list[EvalResult]":
    """Accuracy after and before on the held-out rows."""
    from huggingface_hub import EvalResult

    judged, rows = run.evaluation.get("primary"), run.environment.get("dataset") or {}
    if not judged:
        return []
    own = run.settings.get("eval_dataset") is None
    name = formatting.text(rows.get("name") if own else run.settings["eval_dataset"])
    dataset: dict[str, Any] = {
        "dataset_type": rows["name"] if own and rows.get("commit") else "local",
        "dataset_name": name,
        "dataset_config": run.settings.get("dataset_config"),
        "dataset_split": run.settings.get("eval_split") or f"held out of {run.settings.get('dataset_split')}",
        "dataset_revision": rows.get("commit") if own else None,
        "dataset_args": {"rows": judged["rows"], "system_prompt": run.system_message or None},
    }
    sides = {"after": "adapter on", "before": "start adapter" if run.start_adapter else "adapter off"}
    return [
        EvalResult(
            task_type="text-generation",
            metric_type="accuracy" if run.measure.reads_answers else "reward",
            metric_name=f"{run.evaluation['measure']['name']} {when} GRPO ({how}, greedy)",
            metric_value=judged[when],
            metric_args={_interval(run): list(judged[f"{when}_interval"]), **_test(run, when)},
            **dataset,
        )
        for when, how in sides.items()
    ]


def _interval(run: RunData) -> str:
    return "wilson_interval_95" if run.share else "student_t_interval_95"


def _test(run: RunData, when: str) -> dict[str, Any]:
    if when == "before":
        return {}
    test = "mcnemar_p" if run.share else "sign_flip_p"
    return {"verdict": run.evaluation["verdict"], test: run.evaluation["primary"]["p_value"]}


def _body(run: RunData, base: Base) -> str:
    samples = questions.samples(run)
    rank = int(run.settings.get("lora_rank") or LORA_RANKS_OF_VLLM[0])
    return _template().render(
        run=run,
        base=base,
        content=content,
        questions=questions,
        verified=loaded_back.verified,
        steps=_steps(run),
        headline=content.headline(run),
        plots=[name for name in PLOTS if (run.folder.plots / f"{name}.png").is_file()],
        sample=samples[0] if samples else None,
        question=samples[0].question if samples else "What is 12 + 30?",
        adapter=adapter_source(run.settings.get("publish_to") or []),
        folded=(run.environment.get("model") or {}).get("takes_system") is False,
        template_options=(run.settings.get("grpo_config") or {}).get("chat_template_kwargs"),
        vllm_rank=next((allowed for allowed in LORA_RANKS_OF_VLLM if allowed >= rank), rank),
    )


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=markdown.safe,
    )
    environment.filters |= {**formatting.FORMS, **markdown.FILTERS, "clean": formatting.clean}
    return environment.get_template("card.md")


def _steps(run: RunData) -> str:
    done = int(run.summary.get("steps", {}).get("done") or len(run.metrics))
    warm = min(done, int(run.settings.get("warm_start_steps") or 0))
    return f"{done} steps" + (f", the first {warm} of them supervised (the warm start)" if warm else "")


def adapter_source(destinations: list[str]) -> tuple[str | None, str | None]:
    """Hub id and branch of the first Hub destination.

    >>> adapter_source(["s3://bucket/a", "hf://owner/name@dev"]), adapter_source([])
    (('owner/name', 'dev'), (None, None))
    """
    for uri in destinations:
        if found := re.fullmatch(r"hf://([^@]+)(?:@(.+))?", uri):
            return found[1].strip("/"), found[2]
    return None, None
