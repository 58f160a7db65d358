"""One fault planted at a time into a good configuration: each is found before anything is loaded, with its cure."""

import re
from collections.abc import Callable

import pytest

from grpo_job.inputs import sample
from grpo_job.preflight import resources
from tests.preflight.planting import (
    file_in_the_way,
    gpu_packages,
    hub_answer,
    hub_place,
    index_of_missing_shard,
    packages,
    rows_changed,
    same_rows_held_out,
    shortened,
    template,
    token,
    unreachable,
    without,
    written,
)
from tests.preflight.world import GB, World, rows_of
from tests.servers.s3 import S3Server

Plant = Callable[[World], object]


# What is wrong, the name of the finding, a part of its sentence, and how it is planted.
FAULTS: list[tuple[str, str, str, Plant]] = [
    # settings
    ("no setting has the name", "settings", "did you mean GRPO_MAX_STEPS?", lambda w: w.set(MAX_STEP="3")),
    ("no number", "settings", "GRPO_LEARNING_RATE: 'fast' was given", lambda w: w.set(LEARNING_RATE="fast")),
    ("groups do not fit", "settings", "GRPO_NUM_GENERATIONS=7 must divide", lambda w: w.set(NUM_GENERATIONS="7")),
    ("tokens do not fit", "settings", "more than GRPO_MAX_SEQ_LENGTH=256", lambda w: w.set(MAX_PROMPT_LENGTH="250")),
    ("warm-up too long", "settings", "GRPO_WARMUP_STEPS=20 is not less", lambda w: w.set(WARMUP_STEPS="20")),
    ("no such recipe", "settings", "GRPO_RECIPE: 'gsm9k' was given", lambda w: w.set(RECIPE="gsm9k")),
    ("owned by the job", "settings", "the job controls this option", lambda w: w.set(PUSH_TO_HUB="true")),
    ("no price", "settings", "GRPO_MAX_COST=5 needs GRPO_PRICE_PER_HOUR", lambda w: w.set(MAX_COST="5")),
    ("no such reward", "settings", "did you mean 'correct'?", lambda w: w.set(REWARDS="corect:1")),
    ("no such place", "settings", "GRPO_PUBLISH_TO", lambda w: w.set(PUBLISH_TO="ftp://host/x")),
    ("no such port", "settings", "GRPO_METRICS_PORT: '80' was given", lambda w: w.set(METRICS_PORT="80")),
    (
        "no verdict to publish by",
        "held-out rows",
        "GRPO_PUBLISH_IF=improved would publish nothing: 20 held-out rows are too few",
        lambda w: w.set(PUBLISH_IF="improved", EVAL_ROWS="20"),
    ),
    # destinations and credentials
    ("no token", "destination", "no Hugging Face token was found", lambda w: token(w, None)),
    ("token may only read", "destination", "cannot write there", lambda w: token(w, "read")),
    ("token expired", "destination", "does not accept the token", lambda w: token(w, "expired")),
    ("another's repository", "destination", "cannot write there", lambda w: hub_place(w, "hf://bob/out")),
    ("Hub out of reach", "destination", "check HF_ENDPOINT", unreachable),
    (
        "folder cannot be written",
        "destination",
        "GRPO_PUBLISH_TO: file://",
        lambda w: file_in_the_way(w, PUBLISH_TO="file://{}/x"),
    ),
    (
        "checkpoints cannot be written",
        "destination",
        "GRPO_CHECKPOINT_TO: file://",
        lambda w: file_in_the_way(w, CHECKPOINT_TO="file://{}/x"),
    ),
    # the model
    ("no such folder", "model", "there is no such folder", lambda w: w.set(MODEL="/nowhere/model")),
    ("no name of a model", "model", "neither a folder nor a Hub id", lambda w: w.set(MODEL="a/b/c")),
    ("no such model", "model", "the Hub has no such model", lambda w: (w.hub(), w.set(MODEL="alice/none"))),
    (
        "no such revision",
        "model",
        "no such GRPO_MODEL_REVISION",
        lambda w: (w.hub_model(), w.set(MODEL_REVISION="v9")),
    ),
    ("gated", "model", "accept its licence", lambda w: hub_answer(w, 403, "GatedRepo")),
    ("Hub is down", "model", "the Hub could not be reached", lambda w: hub_answer(w, 500, "")),
    (
        "only pickles on the Hub",
        "model",
        "has no *.safetensors",
        lambda w: w.hub_model(without="model.safetensors"),
    ),
    ("only pickles here", "model", "has no *.safetensors", lambda w: without(w.model() / "model.safetensors")),
    ("no tokenizer", "model", "has no tokenizer.json", lambda w: without(w.model() / "tokenizer.json")),
    ("broken config", "model", "config.json cannot be read", lambda w: written(w.model() / "config.json", "{")),
    ("config without sizes", "model", "has no hidden_size", lambda w: w.model(hidden_size=None)),
    ("config of words", "model", "config.json cannot be read", lambda w: w.model(hidden_size="wide")),
    ("code of its own", "architecture", "names code", lambda w: w.model(auto_map={"AutoModel": "modeling.Own"})),
    ("mixture of experts", "model", "a mixture of experts", lambda w: w.model(num_experts=8)),
    (
        "writes no text",
        "architecture",
        "BertForMaskedLM is not a text generation model",
        lambda w: w.model(architectures=["BertForMaskedLM"]),
    ),
    (
        "quantized already",
        "precision",
        "already quantized (gptq)",
        lambda w: w.model(quantization_config={"quant_method": "gptq"}),
    ),
    (
        "reads too little",
        "context",
        "supports 128 tokens; allowed: at most",
        lambda w: w.model(max_position_embeddings=128),
    ),
    ("weights cut short", "weights", "no whole safetensors file", lambda w: shortened(w.model() / "model.safetensors")),
    ("weights are no weights", "weights", "header too small", lambda w: written(w.model() / "model.safetensors", "x")),
    ("a part of the weights missing", "weights", "model-00002-of-00002.safetensors is missing", index_of_missing_shard),
    (
        "no such layer",
        "LoRA targets",
        "q_prj was given",
        lambda w: w.set(LORA_TARGET_MODULES="q_prj,k_proj"),
    ),
    ("broken tokenizer", "tokenizer", "cannot be read", lambda w: written(w.model() / "tokenizer.json", "{}")),
    ("tokens without embeddings", "tokenizer", "the model has 100 embeddings", lambda w: w.model(vocab_size=100)),
    ("no chat template", "tokenizer", "has no chat template", lambda w: template(w, None)),
    (
        "template refuses all messages",
        "rows",
        "cannot render messages of system, user",
        lambda w: (template(w, "{{ raise_exception('no system') }}"), w.set(SYSTEM_PROMPT="Think.")),
    ),
    ("template is no template", "rows", "chat template", lambda w: template(w, "{% for m in %}")),
    (
        "too large for a CPU",
        "engine",
        "no NVIDIA GPU is visible",
        lambda w: w.model(hidden_size=2048, num_hidden_layers=36, intermediate_size=11008),
    ),
    # rows
    ("no such file", "rows", "no such file", lambda w: w.set(DATASET="/nowhere/rows.jsonl")),
    ("no such dataset", "rows", "the Hub has no such dataset", lambda w: (w.hub(), w.set(DATASET="alice/none"))),
    ("rows from afar", "rows", "rows cannot be read from this URI", lambda w: w.set(DATASET="gs://bucket/rows")),
    ("no such column", "rows", "GRPO_PROMPT_COLUMN: 'query' was given", lambda w: w.set(PROMPT_COLUMN="query")),
    ("no such split", "rows", "GRPO_DATASET_SPLIT: 'learn' was given", lambda w: w.set(DATASET_SPLIT="learn")),
    ("no such held-out split", "rows", "GRPO_EVAL_SPLIT: 'val' was given", lambda w: w.set(EVAL_SPLIT="val")),
    ("broken rows", "rows", "cannot be read", lambda w: written(w.folder / "rows" / "train.jsonl", '{"question": ')),
    ("no answers", "rows", "100 unanswerable", lambda w: rows_changed(w, answer="")),
    ("all prompts too long", "rows", "100 too long", lambda w: w.set(MAX_PROMPT_LENGTH="5")),
    ("fewer rows than a step", "rows", "needs 8 different prompts", lambda w: w.rows(train=rows_of(sample.TRAIN, 5))),
    ("nothing held out", "rows", "GRPO_EVAL_DATASET", same_rows_held_out),
    # rewards
    ("reward raises", "rewards", "raised ZeroDivisionError", lambda w: w.reward("return 1 / 0")),
    ("reward is no number", "rewards", "neither a finite number nor None", lambda w: w.reward("return 'good'")),
    (
        "reward hangs",
        "rewards",
        "did not end in time",
        lambda w: (w.reward("while True: pass"), w.set(REWARD_TIMEOUT_SECONDS="0.2")),
    ),
    ("no module of the reward", "rewards", "cannot be loaded", lambda w: w.set(REWARDS="no_such.reward:1")),
    ("right answers are fined", "rewards together", "does not prefer", lambda w: w.set(REWARDS="correct:-1")),
    # room
    ("disk full", "disk", "free some", lambda w: w.patch.setattr(resources, "free_bytes", lambda folder: 10_000_000)),
    ("run folder cannot be written", "disk", "GRPO_OUTPUT_DIR", lambda w: file_in_the_way(w, OUTPUT_DIR="{}/out")),
    (
        "no room for the model",
        "disk",
        "HF_HOME",
        lambda w: (w.hub_model(), w.patch.setattr(resources, "_to_fetch", lambda base: 200.0 * GB)),
    ),
    (
        "little memory",
        "host memory",
        "400 MB available",
        lambda w: w.patch.setattr(resources, "available_memory", lambda: 0.4 * GB),
    ),
    (
        "little shared memory for two GPUs",
        "shared memory",
        "has 64 MB",
        lambda w: (w.gpu(count=2), w.patch.setattr(resources, "shm_bytes", lambda: 64_000_000)),
    ),
    # the GPU
    ("driver too old", "driver", "needs 580 or newer", lambda w: w.gpu(driver="470.256.02")),
    ("older driver, no libraries", "driver", "install cuda-compat-13-0", lambda w: w.gpu(driver="550.54.15")),
    ("GeForce, older driver", "driver", "data-centre GPU", lambda w: w.gpu(name="GeForce RTX 5090", driver="570.86")),
    ("GPU too old", "GPU", "CUDA 13 needs 7.5", lambda w: w.gpu(name="Tesla V100", capability="7.0")),
    ("GPU does not tell", "GPU", "does not report memory and capability", lambda w: w.gpu(capability="[N/A]")),
    (
        "GPU too small",
        "GPU memory",
        "of which",
        lambda w: (w.gpu(name="NVIDIA T4", memory=15360), w.model(hidden_size=8192, num_hidden_layers=80)),
    ),
    ("others on the GPU", "GPU memory", "other processes use", lambda w: w.gpu(used=143000)),
    ("no GPU for Unsloth", "engine", "it needs an NVIDIA GPU", lambda w: w.set(ENGINE="unsloth")),
    # what is installed
    (
        "another trl",
        "locked versions",
        "trl 1.14.2 is installed",
        lambda w: packages(w, "cpu", trl="1.14.2"),
    ),
    ("no vllm", "locked versions", "vllm none is installed", lambda w: gpu_packages(w, vllm=None)),
    ("another torch", "locked versions", "torch 2.13.0+cpu is", lambda w: gpu_packages(w, torch="2.13.0+cpu")),
    ("another unsloth", "locked versions", "unsloth-zoo 2026.1.1", lambda w: gpu_packages(w, unsloth_zoo="2026.1.1")),
    # money
    ("no time for a step", "budget", "GRPO_MAX_HOURS=0.0001", lambda w: w.set(MAX_HOURS="0.0001")),
]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(("name", "part", "plant"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_found(name: str, part: str, plant: Plant, world: World) -> None:
    plant(world)
    failed = world.failed()
    assert [finding.name for finding in failed if part in finding.sentence] == [name], failed
    assert {finding.name for finding in failed} == {name}
    assert all(is_a_sentence_with_a_cure(finding.sentence) for finding in failed), failed


def is_a_sentence_with_a_cure(sentence: str) -> bool:
    """It names a variable to change, or says behind a colon or semicolon what to do."""
    return bool(re.search(r"GRPO_[A-Z]+|HF_[A-Z]+|[:;] \w+", sentence)) and "Traceback" not in sentence


def test_there_are_many() -> None:
    assert len({fault[0] for fault in FAULTS}) >= 40


@pytest.mark.parametrize("fault", ["no bucket", "no credentials", "wrong secret", "may only read"])
def test_an_s3_that_cannot_be_written_is_found(fault: str, world: World, s3: S3Server) -> None:
    world.set(PUBLISH_TO="s3://nowhere/x" if fault == "no bucket" else "s3://bucket/x")
    if fault == "may only read":
        key, secret = s3.account("reader", "s3:GetObject", "s3:ListBucket")
        s3.enforce_rights()
        world.set(**s3.environment(key, secret))
    elif fault == "no credentials":
        world.set(AWS_ENDPOINT_URL_S3=s3.url, AWS_DEFAULT_REGION="us-east-1")
    elif fault == "wrong secret":
        s3.enforce_rights()
        world.set(**s3.environment("AKIAWRONG", "wrong"))
    else:
        world.set(**s3.environment())
    failed = world.failed()
    assert [finding.name for finding in failed] == ["destination"]
    assert failed[0].sentence.startswith("GRPO_PUBLISH_TO: s3://")


def test_a_good_s3_passes_and_is_left_as_it_was(world: World, s3: S3Server) -> None:
    world.set(PUBLISH_TO="s3://bucket/x", **s3.environment())
    assert world.failed() == []
    assert "Contents" not in s3.client().list_objects_v2(Bucket="bucket")
