"""Every setting: name, type, default, description. Those of training are in `training_fields.py`.

The field `max_steps` is the variable `GRPO_MAX_STEPS`. Fields shared with TRL's `GRPOConfig` keep its names and
meanings; its other options are in `grpo_config`. Parsing is in `reader.py`.
"""

from typing import Literal

from grpo_job.settings import schemes
from grpo_job.settings.primitives import (
    Bool,
    Fraction,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Text,
    operational,
)
from grpo_job.settings.training_fields import TrainingFields
from grpo_job.settings.types import (
    IpAddress,
    KeyPath,
    NotifyUrl,
    NotifyUrlPath,
    OptionalPort,
    OptionalPositive,
    Place,
    Places,
    PositiveAuto,
    RunId,
)


class Fields(TrainingFields):
    """All settings of one run, by group."""

    # the run
    run_id: RunId = operational(
        None, "name of the run; default: derived from the training rows and the settings that change the result"
    )
    output_dir: Text = operational("outputs", "folder for run folders")
    cache_dir: Text = operational("~/.cache/grpo-job", "folder for compiled kernels, reused by later runs")
    resume: Literal["auto", "never"] = operational("auto", "auto: from the newest valid checkpoint; never: restart")
    save_steps: PositiveInt = operational(25, "steps between checkpoints")
    save_minutes: Positive = operational(10.0, "maximum minutes between checkpoints")
    save_total_limit: PositiveInt = operational(2, "number of checkpoints to keep, the newest valid ones")
    checkpoint_to: Place = operational(None, f"mirror for checkpoints: {schemes.forms()}")
    checkpoint_key_path: KeyPath = operational(
        None, "file with a key of at least 32 characters that signs checkpoints; others are not resumed"
    )
    ranks_key_path: KeyPath = operational(
        None, "file with a key of at least 32 characters, the same on all machines, that signs messages of ranks"
    )
    lease_seconds: Positive = operational(60.0, "seconds without renewal until another attempt may take the run over")
    grace_seconds: Positive = operational(25.0, "seconds to save and stop after a signal")
    publish_to: Places = operational((), f"destinations: {schemes.forms()}")
    publish_if: Literal["always", "not-worse", "improved", "collapsed"] = operational(
        "always", "verdict required to publish; below it the adapter stays in the run folder; collapsed: any"
    )
    publish_merged: Bool = operational(False, "also publish the merged model, in merged/")
    publish_merged_dtype: Literal["model", "float16", "float32"] = operational(
        "model", "type of the merged weights; float16 and float32 keep more of a small update than bfloat16"
    )
    verify: Bool = operational(
        False, "at the end, load what was published and repeat the recorded prompts; exit 4 if answers differ"
    )
    publish_seconds: PositiveAuto = operational(
        "auto",
        "maximum seconds per destination, plus time to upload; auto: 40, or 900 if the run folder is on a container's "
        "own disk and cannot be published later",
    )
    publish_private: Bool = operational(True, "create Hub repositories as private")
    log_format: Literal["auto", "rich", "plain", "json"] = operational("auto", "auto: rich on a terminal, else plain")

    # budget and health; health/ explains each threshold
    max_hours: OptionalPositive = operational(
        None, "maximum hours over all attempts; training stops in time to evaluate and publish"
    )
    price_per_hour: OptionalPositive = operational(None, "price of this machine in US dollars per hour")
    max_cost: OptionalPositive = operational(None, "maximum cost in US dollars; needs GRPO_PRICE_PER_HOUR")
    health: Literal["stop", "warn", "off"] = operational(
        "stop", "for a run that cannot succeed: stop ends it with exit 4, warn only warns, off disables the checks"
    )
    health_steps: PositiveInt = operational(10, "minimum steps that a warning sign must last")
    health_groups: PositiveInt = operational(64, "consecutive groups with zero reward std that mean no signal")
    health_clipped_share: Fraction = operational(0.8, "share of truncated completions that is a warning sign")
    health_max_kl: Positive = operational(10.0, "KL divergence from the base in nats per token that is a warning sign")
    health_gradient_factor: Positive = operational(100.0, "gradient norm's limit, as a multiple of its first values")
    health_entropy_share: Fraction = operational(0.05, "lower limit of the entropy, as a share of its first values")
    probe_prompts: NonNegativeInt = operational(
        16,
        "prompts sampled before step 1 to test the rewards; three times as many more if no group has a signal; 0: none",
    )
    rehearsal: Literal["auto", "always", "never"] = operational(
        "auto", "run the longest rows before step 1 to find memory errors early; auto: if the plan leaves little room"
    )
    metrics_port: OptionalPort = operational(None, "port for Prometheus metrics")
    metrics_address: IpAddress = operational(
        "127.0.0.1", "address that GRPO_METRICS_PORT listens on; 0.0.0.0, as in the images: every address"
    )
    termination_log: Text = operational("/dev/termination-log", "file for the outcome, if it can be written")
    notify_url: NotifyUrl = operational(None, "secret: URL that gets one POST when the run ends, stops or fails")
    notify_url_path: NotifyUrlPath = operational(None, "file with the URL, instead of GRPO_NOTIFY_URL")
    allow_other_versions: Bool = operational(False, "allow package versions that differ from the lock")
