"""The moving line of a phase at a terminal: a spinner and the time, and a bar once it is known how far the phase is."""

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

WIDTH, NARROW = 24, 60  # columns of the bar; of a terminal that has no room for one
PER_SECOND = 4


class Bar:
    """One line, drawn below what is logged."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: Progress | None = None
        self._counts = self._stays = False

    def begin(self) -> None:
        """A phase of unknown length: a spinner, with the time that it took."""
        self._start(SpinnerColumn(), TimeElapsedColumn(), vanishes=True)
        self._counts = False

    def show(self, done: int, total: int, text: str, *, stays: bool) -> None:
        """How far the phase is; the line `stays` when the phase has ended, or vanishes."""
        if not self._counts or (stays and not self._stays):
            room = [BarColumn(bar_width=WIDTH)] if self._console.width >= NARROW else []
            line = TextColumn(
                "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
            )
            self._start(*room, line, vanishes=not stays)
            self._counts, self._stays = True, stays
        assert self._drawn
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
