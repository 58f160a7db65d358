"""The settings of one run: one frozen object, read once and passed along, and what follows from it."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from grpo_job.settings import named_files, trl_options
from grpo_job.settings.fields import Fields


class Settings(Fields):
    """All settings of one run. Frozen; hashed by what changes its result."""

    @property
    def generation_micro_steps(self) -> int:
        """Micro-steps that one batch of completions feeds."""
        if self.generation_batch_size:
            return max(1, self.generation_batch_size // self.per_device_train_batch_size)
        return self.steps_per_generation or self.gradient_accumulation_steps

    @property
    def completions_per_step(self) -> int:
        """Completions that one optimizer step learns from."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    @property
    def completions_per_generation(self) -> int:
        """Completions that are sampled at once, for one or several optimizer steps."""
        return self.per_device_train_batch_size * self.generation_micro_steps

    @property
    def prompts_per_generation(self) -> int:
        """Different prompts that one generation needs."""
        return max(1, self.completions_per_generation // self.num_generations)

    @property
    def chat_options(self) -> dict[str, Any]:
        """What chat templates get besides the messages, such as `enable_thinking`."""
        return self.grpo_config.get("chat_template_kwargs") or {}

    @property
    def groups_per_step(self) -> float:
        """Groups of completions, each of one prompt, per optimizer step; may be a fraction."""
        return self.completions_per_step / self.num_generations

    @property
    def folder_of_run(self) -> Path:
        """`GRPO_OUTPUT_DIR/GRPO_RUN_ID`, absolute; may not exist yet."""
        return Path(self.output_dir).expanduser().resolve() / self.name_of_run()

    @property
    def before(self) -> Literal["on", "off"]:
        """Whether the adapter is on in what training starts from: a start adapter's answers, or the base's."""
        return "on" if self.adapter else "off"

    @property
    def beginning(self) -> str:
        """What training starts from, as the log calls it."""
        return "start adapter" if self.adapter else "base"

    def changing_result(self) -> dict[str, Any]:
        """The settings that change the adapter, as JSON values."""
        fields = type(self).model_fields
        harmless = {name for name, field in fields.items() if field.json_schema_extra == {"changes_result": False}}
        return self.model_dump(mode="json", exclude=harmless)

    @cached_property
    def file_digests(self) -> dict[str, Any]:
        """Of the files that it names, as they were when first asked for: they may be edited while the run goes on."""
        return named_files.digests(self)

    def telling_apart(self) -> dict[str, Any]:
        """What tells runs apart: `changing_result()`, and the digests of the files that it names."""
        return {**self.changing_result(), **self.file_digests}

    def result_hash(self) -> str:
        """SHA-256 of `telling_apart()`, in hex."""
        return hashlib.sha256(json.dumps(self.telling_apart(), sort_keys=True).encode()).hexdigest()

    def name_of_run(self, rows_digest: str = "") -> str:
        """`run_id`, or a name derived from the settings and the digest of the training rows."""
        changing = self.result_hash() + rows_digest
        return self.run_id or f"{self.recipe}-{hashlib.sha256(changing.encode()).hexdigest()[:10]}"


def variable(field: str) -> str:
    """`"max_steps"` -> `"GRPO_MAX_STEPS"`."""
    return f"GRPO_{field.upper()}"


def known_names() -> list[str]:
    """Every name that may follow `GRPO_`, in lower case, including those of GRPOConfig."""
    own = [name for name in Settings.model_fields if name != "grpo_config"]
    return [*own, *(name for name in trl_options.options() if name not in own and name not in trl_options.OWNED)]
