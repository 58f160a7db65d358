"""`grpo-job verify`, and GRPO_VERIFY: does what was published answer as it was evaluated?

The held-out prompts that the run recorded are asked greedily again, of base and adapter loaded from the published tree,
in another process. Needs no rows and no reward of the run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_job.engines import served
from grpo_job.engines.interface import Adapter
from grpo_job.evaluation import grading, served_back
from grpo_job.evaluation.served_back import Side
from grpo_job.inputs import base_model, lora
from grpo_job.inputs.base_model import BaseModel
from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.rendering import Unrendered
from grpo_job.outcomes import Abandoned, InvalidRun
from grpo_job.phases import published_copy
from grpo_job.phases.published_copy import Copy
from grpo_job.reports.run_data import RunData
from grpo_job.rewards import MENU, answers
from grpo_job.run_folder import scratch, shapes
from grpo_job.run_folder.files import Damaged, read_jsonl
from grpo_job.runtime import machine
from grpo_job.settings import plain_files
from grpo_job.settings.reader import resolve

Record = dict[str, Any]
NO_PROMPTS = "its evaluation has no prompts: it was published by an older version; run `grpo-job evaluate` instead"


def verify(
    place: str, environment: Mapping[str, str], *, model: str | None = None, rows: int | None = None, on_gpu: bool
) -> Record:
    """What `run/verify.json` holds: figures and `faults`, sentences without which the tree answers as recorded.

    `model`: the base to use in place of the one that the tree names. `rows`: so many of the recorded prompts at most.
    Raises `InvalidRun` if there is no tree, or it names no base that may be used.
    """
    with scratch.temporary("verify") as folder:
        copy = published_copy.fetch(place, folder, environment)
        found: Record = {"by": "vllm serve" if on_gpu else "transformers and PEFT on a CPU"}
        if not copy.config:
            return {**found, "rows": 0, "faults": copy.faults}
        try:
            base = base_model.fetch(*published_copy.base_name(copy, model))
        except InvalidRun:
            if copy.faults:  # of which this may be a consequence
                return {**found, "rows": 0, "faults": copy.faults}
            raise
        found |= {"model": base.name, "commit": base.commit, "versions": machine.versions()}
        try:
            return _asked(copy, base, found, environment, rows, on_gpu)
        except (Abandoned, Damaged, Unrendered) as failure:
            told = str(failure).replace(f"{folder}/tree/", "")
            return {**found, "rows": 0, "faults": [*copy.faults, told]}


def _asked(
    copy: Copy, base: BaseModel, found: Record, environment: Mapping[str, str], rows: int | None, on_gpu: bool
) -> Record:
    before, after = _recorded(copy.run, rows)
    chat, prompts = Chat(copy.adapter, _rendering(copy.run)), [str(row["prompt"]) for row in after]
    model, grade = _model(copy, base, chat), _grader(copy.run)
    with served.serving(model, environment, on_gpu=on_gpu) as ask:
        of_base = None if copy.run.start_adapter else _side(ask, prompts, before, "off")
        of_adapter = _side(ask, prompts, after, "on")
    tie = served_back.TIE_IN_16_BITS if on_gpu or copy.run.environment.get("gpus") else served_back.TIE
    in_4_bits = bool((copy.run.environment.get("plan") or {}).get("load_in_4bit"))  # today the base has 16
    found |= served_back.compare(of_adapter, of_base, tie, copy.run.measure, grade, strict=not in_4_bits)
    own = [*copy.faults, *_of_template(chat, after), *_of_claims(copy.run)]
    if (copy.merged / "config.json").is_file():
        with served.serving(model._replace(base=copy.merged, adapter=None), environment, on_gpu=on_gpu) as ask:
            merged = _side(ask, prompts, after, "on")
        found["merged"] = served_back.of_merged(merged, of_base, tie, copy.run.measure, grade)
        own += found["merged"]["faults"]
    return {**found, "faults": [*own, *found["faults"]]}


def _side(ask: served.Ask, prompts: Sequence[str], recorded: Sequence[Record], adapter: Adapter) -> Side:
    told = ask(prompts, [row["completion"] for row in recorded], adapter)
    return Side(recorded, [one.text for one in told], [one.gap for one in told])


def _recorded(run: RunData, rows: int | None) -> tuple[list[Record], list[Record]]:
    """The first `rows` records before and after training. Raises `InvalidRun` if there are none with a prompt."""
    before, after = (read_jsonl(path, shapes.Answered)[:rows] for path in (run.folder.before, run.folder.after))
    if not after or not all("prompt" in row and "messages" in row for row in after):
        raise InvalidRun(f"{run.folder.after.name}: {NO_PROMPTS}")
    if [row["question"] for row in before] != [row["question"] for row in after]:
        raise Abandoned("before.jsonl and after.jsonl do not answer the same questions")
    return before, after


def _rendering(run: RunData) -> Any:
    """Settings with those of the run that change how a prompt is rendered by the template in the tree."""
    options = (run.settings.get("grpo_config") or {}).get("chat_template_kwargs")
    return resolve({}).settings.model_copy(update={"grpo_config": {"chat_template_kwargs": options} if options else {}})


def _model(copy: Copy, base: BaseModel, chat: Chat) -> served.Model:
    told = copy.run.settings
    longest, length = (told.get(name) for name in ("max_seq_length", "max_completion_length"))
    if not isinstance(longest, int) or not isinstance(length, int) or min(longest, length) < 1:
        raise Abandoned("settings.json has no max_seq_length and max_completion_length")
    return served.Model(base.folder, copy.adapter, lora.read(copy.adapter).rank, length, longest, _ends(base, chat))


def _ends(base: BaseModel, chat: Chat) -> dict[int, str]:
    """The tokens that end an answer: those of the base and of the tokenizer."""
    generation = base.folder / "generation_config.json"
    found = plain_files.read_object(generation) if generation.is_file() else base.config()
    own = found.get("eos_token_id")
    ids = {*(own if isinstance(own, list) else [own]), chat.tokenizer.token_to_id(chat.ends_with() or "")} - {None}
    return {number: chat.tokenizer.id_to_token(number) or "" for number in sorted(ids)}


def _grader(run: RunData) -> Callable[[Mapping[str, Any], str], float | None]:
    """Grades another answer by the measure; None if that is other than one reward of the menu that reads answers."""
    measure = run.measure

    def grade(row: Mapping[str, Any], text: str) -> float | None:
        if not measure.reads_answers:
            return None
        reward = MENU[measure.weights[0][0]] if measure.weights else answers.correct_anywhere
        paid = [reward(text, gold) for gold in grading.golds_of(row)]
        return max((each for each in paid if each is not None), default=None)

    return grade


def _of_template(chat: Chat, rows: Sequence[Record]) -> list[str]:
    """The template beside the adapter must make the prompts that the run asked with."""
    try:
        texts = chat.texts([row["messages"] for row in rows])
    except InvalidRun as refusal:
        return [f"the chat template beside the adapter fails: {refusal}"]
    other = sum(text != row["prompt"] for text, row in zip(texts, rows, strict=True))
    return [f"the chat template beside the adapter makes {other} of {len(rows)} prompts otherwise"] if other else []


def _of_claims(run: RunData) -> list[str]:
    """The reported mean must be that of all recorded answers."""
    values = [run.measure.of(row) or 0.0 for row in read_jsonl(run.folder.after, shapes.Answered)]
    claimed, mean = (run.evaluation.get("primary") or {}).get("after"), sum(values) / len(values)
    if isinstance(claimed, int | float) and abs(claimed - mean) < 1e-9:
        return []
    return [f"evaluation.json reports {claimed}, but the recorded answers have {mean:.4g}"]
