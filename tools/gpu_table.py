"""Models on GPUs with minutes and dollars, as `grpo-job plan` estimates them: nothing is asked of the network."""

from grpo_job.phases.tell_plans import Told, on_machine
from grpo_job.planner import gpus, known_models
from grpo_job.preflight.estimate import told_time
from grpo_job.settings.reader import resolve

MODELS = (
    "HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct",
    "Qwen/Qwen2.5-3B-Instruct", "Qwen/Qwen3-4B", "Qwen/Qwen2.5-7B-Instruct", "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-14B-Instruct", "Qwen/Qwen2.5-32B-Instruct",
)  # fmt: skip
# US dollars per GPU and hour: round numbers to multiply with, nobody's offer.
PRICES = {"L4": 0.8, "RTX4090": 0.6, "A100-40GB": 1.4, "L40S": 1.2, "A100-80GB": 1.8, "H100": 2.5, "H200": 3.5}
MACHINES = (*PRICES, "2xH100")


def header() -> str:
    priced = (f"{name} (${PRICES[gpus.wanted(name)[1].name] * gpus.wanted(name)[0]:.2f})" for name in MACHINES)
    return " | ".join(["model", *priced])


def rows() -> list[tuple[str, ...]]:
    """A row per model; the cheapest machine in bold."""
    return [row(model) for model in MODELS]


def row(model: str) -> tuple[str, ...]:
    settings, config = resolve({"GRPO_MODEL": model}).settings, known_models.config(model)
    if config is None:
        raise LookupError(f"{model}: its shape is not in planner/known_models.py")
    told = [on_machine(settings, config, *gpus.wanted(name), settings.max_steps, PRICES) for name in MACHINES]
    cheapest = min(one.dollars for one in told if one.dollars is not None)
    return (model.rpartition("/")[2], *(cell(one, cheapest) for one in told))


def cell(one: Told, cheapest: float) -> str:
    """Such as `21 min, $0.89`, with a † where the base is loaded in 4 bits."""
    if not one.fits or one.dollars is None:
        return "no"
    said = f"{told_time(one.minutes * 60)}, ${one.dollars:.2f}{'†' if one.in_4bit else ''}"
    return f"**{said}**" if one.dollars == cheapest else said
