"""What the reward `judge` has asked in this run: kept in the run folder and in each checkpoint, and told."""

from grpo_job.phases.attempt import Attempt
from grpo_job.rewards.judging import JUDGEMENTS
from grpo_job.run_folder.files import write_text


def keep(attempt: Attempt, earlier: str) -> None:
    """Go on with all that is known: what a checkpoint held, and the `earlier` content of the file.

    Steps after the checkpoint are repeated, and pay what they paid.
    """
    file = attempt.folder.judged
    kept = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = dict.fromkeys([*kept.splitlines(), *earlier.splitlines()])
    if lines:
        write_text(file, "".join(f"{line}\n" for line in lines))
    JUDGEMENTS.keep_in(file)


def tell(attempt: Attempt) -> None:
    """Calls and tokens in the summary; a warning where something was not judged."""
    if not JUDGEMENTS.known:
        return
    totals = JUDGEMENTS.totals()
    attempt.summary.update(judge=totals)
    if totals["failed"]:
        together = totals["judged"] + totals["failed"]
        attempt.progress.warn(
            f"judge: {totals['failed']} of {together} completions were not judged, and paid nothing: "
            f"{totals['last_failure']}"
        )
