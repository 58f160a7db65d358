"""Every accepted option of the locked TRL's GRPOConfig changes what it should: one row per option.

A new option of TRL fails here until it has a row, or is refused in `settings/refused_options.py`.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from transformers import optimization

from grpo_job.settings.schedules import KEYS, SCHEDULES
from grpo_job.settings.schema import variable
from grpo_job.settings.trl_options import BITSANDBYTES, OWNED, VLLM_ONLY, choices, options
from tests.engines import option_effects as see

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


class Row(NamedTuple):
    """A value other than the default, what it changes, and the settings beside it."""

    value: str
    seen: Callable[[Any], Any]
    beside: Mapping[str, str] = MappingProxyType({})


KL = {"GRPO_BETA": "0.1"}
SAPO, VESPO = {"GRPO_LOSS_TYPE": "sapo"}, {"GRPO_LOSS_TYPE": "vespo"}
CORRECTED = {"GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION": "true"}
TEN_STEPS = {"GRPO_MAX_STEPS": "10"}

EFFECTS: dict[str, Row] = {
    # how the weights move
    "adam_beta1": Row("0.5", see.optimizer),
    "adam_beta2": Row("0.5", see.optimizer),
    "adam_epsilon": Row("0.1", see.optimizer),
    "learning_rate": Row("1e-4", see.rates, {"GRPO_LR_SCHEDULER_TYPE": "constant"}),
    "lr_scheduler_kwargs": Row('{"num_cycles": 2}', see.rates, {**TEN_STEPS, "GRPO_LR_SCHEDULER_TYPE": "cosine"}),
    "lr_scheduler_type": Row("cosine", see.rates, TEN_STEPS),
    "max_grad_norm": Row("1e-6", see.learned, {"GRPO_OPTIM": "sgd"}),
    "optim": Row("sgd", see.optimizer),
    "warmup_steps": Row("5", see.rates, TEN_STEPS),
    "weight_decay": Row("0.5", see.optimizer),
    # which rows, how many steps
    "generation_batch_size": Row("16", see.order),
    "gradient_accumulation_steps": Row("2", see.order),
    "max_steps": Row("5", see.steps),
    "num_generations": Row("2", see.order),
    "num_iterations": Row("2", see.order),
    "num_train_epochs": Row("2", see.steps, {"GRPO_MAX_STEPS": "-1", "GRPO_NUM_TRAIN_EPOCHS": "1"}),
    "per_device_train_batch_size": Row("16", see.order),
    "seed": Row("1", see.order),
    "shuffle_dataset": Row("false", see.order),
    "steps_per_generation": Row("2", see.order),
    # what is drawn
    "chat_template_kwargs": Row('{"brief": true}', see.drawn),
    "generation_kwargs": Row('{"min_tokens": 60}', see.drawn, {"GRPO_MAX_COMPLETION_LENGTH": "60"}),
    "max_completion_length": Row("5", see.drawn),
    "min_p": Row("0.9", see.drawn),
    "repetition_penalty": Row("5", see.drawn),
    "temperature": Row("0.1", see.drawn),
    "top_k": Row("1", see.drawn),
    "top_p": Row("0.01", see.drawn),
    # what is learned from it
    "beta": Row("0.1", see.loss),
    "delta": Row("1.1", see.loss),
    "entropy_coef": Row("0.1", see.loss),
    "epsilon": Row("0.5", see.loss, {"GRPO_EPSILON_HIGH": "0.2"}),
    "epsilon_high": Row("0.5", see.loss),
    "importance_sampling_level": Row("sequence", see.loss),
    "loss_type": Row("dr_grpo", see.loss),
    "mask_truncated_completions": Row("true", see.learnable),
    "multi_objective_aggregation": Row("normalize_then_sum", see.advantages),
    "off_policy_mask_threshold": Row("0.01", see.loss),
    "pad_to_multiple_of": Row("32", see.width),
    "sapo_temperature_neg": Row("3", see.loss, SAPO),
    "sapo_temperature_pos": Row("3", see.loss, SAPO),
    "scale_rewards": Row("none", see.advantages),
    "top_entropy_quantile": Row("0.5", see.loss),
    "use_bias_correction_kl": Row("false", see.loss, KL),
    "vespo_k_neg": Row("1", see.loss, VESPO),
    "vespo_k_pos": Row("1", see.loss, VESPO),
    "vespo_lambda_neg": Row("1", see.loss, VESPO),
    "vespo_lambda_pos": Row("1", see.loss, VESPO),
    "vllm_importance_sampling_clip_max": Row("0.5", see.corrected, CORRECTED),
    "vllm_importance_sampling_clip_min": Row("1", see.corrected, CORRECTED),
    "vllm_importance_sampling_correction": Row("true", see.corrected),
    "vllm_importance_sampling_mode": Row("token_truncate", see.corrected, CORRECTED),
    # where it runs, and how
    "gradient_checkpointing": Row("true", see.planned),
    "output_dir": Row("elsewhere", see.place),
    "vllm_gpu_memory_utilization": Row("0.8", see.planned),
    # what is told
    "logging_steps": Row("3", see.logged),
}  # fmt: skip
# Options that the job itself acts on, outside of an engine, and the test that shows it.
ELSEWHERE = {
    "eval_steps": "phases/test_periodic_eval.py::test_an_examination_is_due_at_each_multiple_and_at_the_end",
    "report_to": "monitoring/trackers/test_trackers.py::test_each_step_is_there_once_however_the_attempt_before_ended",
    "save_steps": "phases/test_train.py::test_a_checkpoint_is_due_at_the_first_question_behind_a_multiple",
    "save_total_limit": "checkpoints/test_manager.py::test_the_oldest_beyond_those_to_keep_are_removed",
}


def test_every_accepted_option_has_a_row() -> None:
    assert sorted([*EFFECTS, *ELSEWHERE]) == sorted(set(options()) - set(OWNED))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, str], Callable[[Any], Any]], Any]:
    """What a function of `option_effects` sees under some settings; asked again, it is remembered."""
    remembered: dict[Any, Any] = {}

    def look(given: Mapping[str, str], how: Callable[[Any], Any]) -> Any:
        key = how, *sorted(given.items())
        if key not in remembered:
            settings = see.settings_of(given)
            made = settings if how in see.OF_SETTINGS else see.engine(tmp_path_factory.mktemp("run"), settings)
            remembered[key] = how(made)
        return remembered[key]

    return look


@pytest.mark.parametrize("name", EFFECTS)
def test_an_accepted_option_changes_what_it_should(name: str, seen: Callable[..., Any]) -> None:
    row = EFFECTS[name]
    without, given = seen(row.beside, row.seen), seen({**row.beside, variable(name): row.value}, row.seen)
    assert differ(without, given), f"{variable(name)}={row.value} changes nothing in {row.seen.__name__}"


def differ(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape != other.shape or not torch.allclose(one, other, atol=1e-7)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return any(differ(a, b) for a, b in zip(one, other, strict=True))
    return bool(one != other)


def test_the_same_settings_show_the_same_twice(tmp_path: Path) -> None:
    """Else any option would seem to act."""
    for how in (see.learned, see.order, see.drawn, see.advantages, see.loss, see.corrected):
        again = [how(see.engine(tmp_path / how.__name__ / str(turn), see.settings_of(CORRECTED))) for turn in range(2)]
        assert not differ(*again), how.__name__


def test_what_acts_on_rollouts_of_vllm_alone_is_said_to() -> None:
    assert set(VLLM_ONLY) == {name for name, row in EFFECTS.items() if row.seen is see.corrected}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_test_elsewhere_is_there(name: str) -> None:
    file, _, test = ELSEWHERE[name].partition("::")
    assert f"def {test}(" in (TESTS / file).read_text()


@pytest.mark.parametrize("name", [name for name in choices("optim") if name not in BITSANDBYTES or "adamw" in name])
def test_every_optimizer_that_a_cpu_offers_moves_the_weights(name: str, tmp_path: Path) -> None:
    made = see.engine(tmp_path, see.settings_of({"GRPO_OPTIM": name, "GRPO_MAX_STEPS": "1"}))
    assert any(weight.any() for weight in see.learned(made))


@pytest.mark.parametrize("name", choices("lr_scheduler_type"))
def test_every_schedule_runs_with_the_arguments_that_it_needs(name: str, tmp_path: Path) -> None:
    _, needed = SCHEDULES[name]
    value = {"num_decay_steps": 4, "min_lr": 1e-5}
    given = {"GRPO_LR_SCHEDULER_KWARGS": json.dumps({needed[0]: value[needed[0]]})} if needed else {}
    made = see.engine(tmp_path, see.settings_of({"GRPO_LR_SCHEDULER_TYPE": name, **TEN_STEPS, **given}))
    assert all(0 <= rate <= 1e-2 for rate in see.rates(made))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("cosine", "get_cosine_schedule_with_warmup"),
        ("cosine_with_min_lr", "get_cosine_with_min_lr_schedule_with_warmup"),
        ("cosine_warmup_with_min_lr", "get_cosine_with_min_lr_schedule_with_warmup_lr_rate"),
        ("cosine_with_restarts", "get_cosine_with_hard_restarts_schedule_with_warmup"),
        ("inverse_sqrt", "get_inverse_sqrt_schedule"),
        ("polynomial", "get_polynomial_decay_schedule_with_warmup"),
        ("warmup_stable_decay", "get_wsd_schedule"),
    ],
)
def test_the_keys_of_a_schedule_are_those_of_transformers(name: str, function: str) -> None:
    taken = set(inspect.signature(getattr(optimization, function)).parameters)
    assert set(SCHEDULES[name][0]) <= set(KEYS)
    assert set(SCHEDULES[name][0]) == taken - {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
