"""What the reward `judge` has asked in this run: kept in the run folder and in each checkpoint, and told."""

from collections.abc import Iterator
from contextlib import contextmanager

from grpo_job.phases.attempt import Attempt
from grpo_job.rewards.judgements import JUDGEMENTS, lines_of, read_line
from grpo_job.run_folder.files import write_text


@contextmanager
def kept(attempt: Attempt) -> Iterator[None]:
    """Go on with all that is known: what the file holds now, and what it holds after the body has restored it.

    Steps after the checkpoint are repeated, and pay what they paid. What is damaged is asked for again.
    """
    file = attempt.folder.judged
    earlier = lines_of(file)
    yield
    lines = dict.fromkeys([*lines_of(file), *earlier])
    good = [line for line in lines if read_line(line)]
    if len(good) < len(lines):
        attempt.progress.warn(f"{file} is damaged: {len(lines) - len(good)} of its lines are asked for again")
    if lines:
        write_text(file, "".join(f"{line}\n" for line in good))
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
