"""Checks that the chosen engine honours every option that was given."""

from grpo_job.preflight.findings import Finding
from grpo_job.settings import trl_options
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import BITSANDBYTES, BITSANDBYTES_ADAM


def findings(settings: Settings, gpus: int) -> list[Finding]:
    """One failed finding per option that does nothing without a GPU; with one, both engines honour all of them."""
    if gpus:
        return []
    faults = trl_options.without_vllm(settings.grpo_config)
    if settings.optim in set(BITSANDBYTES) - set(BITSANDBYTES_ADAM):
        here = ", ".join(name for name in trl_options.choices("optim") if name not in BITSANDBYTES)
        faults.append(f"GRPO_OPTIM={settings.optim} needs bitsandbytes and a GPU; allowed on a CPU: {here}")
    return [Finding("failed", "options", fault) for fault in faults]
