"""The moving line of a phase at a terminal: a spinner and the time, and a bar once it is known how far the phase is."""

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

WIDTH, LEAST, NARROW = 24, 8, 72  # columns of the bar, and at least; of a terminal that has no room for one
FREE = 4  # columns at the right: a `^C` that the terminal shows there must not begin a line of its own
PER_SECOND = 4


class Bar:
    """One line, drawn below what is logged."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: Progress | None = None
        self._bar = BarColumn(bar_width=WIDTH)
        self._counts = self._stays = False

    def begin(self) -> None:
        """A phase of unknown length: a spinner, with the time that it took."""
        self._start(SpinnerColumn(), TimeElapsedColumn(), vanishes=True)
        self._counts = False

    def show(self, done: int, total: int, text: str, *, stays: bool) -> None:
        """How far the phase is; the line `stays` when the phase has ended, or vanishes."""
        columns = self._console.width
        if not self._counts or (stays and not self._stays):
            line = TextColumn(
                "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            )
            self._start(*([self._bar] if columns >= NARROW else []), line, vanishes=not stays)
            self._counts, self._stays = True, stays
        assert self._drawn
        text = fitting(text, columns - FREE - (LEAST + 1 if columns >= NARROW else 0))
        self._bar.bar_width = max(LEAST, min(WIDTH, columns - FREE - 1 - len(text)))
        self._drawn.update(TaskID(0), completed=done, total=total, description=text, refresh=True)

    def end(self) -> None:
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None

    def _start(self, *columns: ProgressColumn, vanishes: bool) -> None:
        self.end()
        # Without redirection: what libraries print goes to their log.
        self._drawn = Progress(
            *columns, console=self._console, refresh_per_second=PER_SECOND, transient=vanishes,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._drawn.add_task("", total=None)
        self._drawn.start()


def fitting(text: str, columns: int) -> str:
    """The first figures of a line, as many as fit: none is cut in the middle, but the first may be too long.

    >>> fitting("step 2/3  reward 1.000 ± 0.500, 0:01:10 left, length 187", 50)
    'step 2/3  reward 1.000 ± 0.500, 0:01:10 left'
    """
    while len(text) > columns and ", " in text:
        text = text.rpartition(", ")[0]
    return text
