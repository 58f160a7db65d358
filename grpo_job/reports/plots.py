"""Draws panels with matplotlib: PNGs for the card, SVGs for the page.

In an SVG each colour becomes a CSS variable (`themes.py`), so the page can switch between light and dark.
"""

import html
import io
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from grpo_job.reports.panels import Bars, Line, Panel, Shares
from grpo_job.reports.themes import LIGHT, SERIES
from grpo_job.run_folder.files import write_bytes

Drawn = Panel | Bars | Shares
DASHES: tuple[Any, ...] = ("-", (0, (5, 2.5)), (0, (1.2, 1.6)), (0, (7, 1.8, 1.2, 1.8)))  # equal curves show through
LONGEST_NAME = 100  # of a PNG, in characters
ABANDONED_SECONDS = 30.0  # writing a list of fonts takes well below a second
# Inches, so that 9 points are about 11 CSS pixels on the page: in a third of its width or on a phone, and wide.
SMALL, WIDE = (3.5, 2.15), (9.8, 3.0)
SMALL_SHARES, WIDE_SHARES = (3.3, 2.9), (5.0, 2.9)
STYLE = {
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "figure.dpi": 100,
    "figure.facecolor": LIGHT["paper"],
    "axes.facecolor": "none",
    "axes.edgecolor": LIGHT["grid"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.8,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["grid"],
    "ytick.color": LIGHT["grid"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.solid_capstyle": "round",
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
}


def png(drawn: Drawn, folder: Path) -> Path:
    """Write `<name>.png`, with title and legend, on white."""
    path, out = folder / f"{_safe(drawn.name)}.png", io.BytesIO()
    with _style({"figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.1}):
        figure = draw(drawn, size=(6.4, 3.6), titled=True)
        figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    write_bytes(path, out.getvalue())  # replaces a link, and never what it leads to
    return path


def svg(drawn: Drawn, *, wide: bool = False) -> str:
    """An `<svg>` element for a page; its `id`s begin with the plot's name."""
    out = io.StringIO()
    name = _safe(drawn.name) + ("-wide" if wide else "")
    with _style({"svg.hashsalt": name}):
        figure = draw(drawn, size=_size(drawn, wide), titled=False)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), name, drawn.title)


def draw(drawn: Drawn, *, size: tuple[float, float], titled: bool) -> Any:
    """The matplotlib figure. The page has the legends of an SVG, so only a titled figure draws its own."""
    drop_abandoned_locks()
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=_grown(drawn, size), layout="constrained")
        axes = figure.add_subplot()
        match drawn:
            case Panel():
                _draw_panel(axes, drawn)
            case Bars():
                _draw_bars(axes, drawn)
            case Shares():
                _draw_shares(axes, drawn)
        if titled:
            axes.set_title(drawn.title, pad=10)
            if len(axes.get_legend_handles_labels()[1]) > 1:
                figure.legend(loc="outside lower center", ncols=3)
    return figure


@cache
def drop_abandoned_locks() -> None:
    """Before matplotlib looks for fonts.

    A process killed while it wrote their list left a lock in the user's cache; each later one would wait 5 s and warn.
    """
    import matplotlib

    with suppress(OSError):
        for lock in Path(matplotlib.get_cachedir()).glob("fontlist-*.matplotlib-lock"):
            if time.time() - lock.stat().st_mtime > ABANDONED_SECONDS:
                lock.unlink()


def _style(extra: dict[str, Any] | None = None) -> Any:
    import matplotlib

    settings: Any = {**STYLE, **(extra or {})}
    return matplotlib.rc_context(settings)


def _size(drawn: Drawn, wide: bool) -> tuple[float, float]:
    if isinstance(drawn, Shares):
        return WIDE_SHARES if wide else SMALL_SHARES
    return WIDE if wide else SMALL


def _grown(drawn: Drawn, size: tuple[float, float]) -> tuple[float, float]:
    """Bars and intervals of several runs need more height."""
    width, height = size
    match drawn:
        case Bars():
            return width, max(height, 0.6 + 0.17 * len(drawn.labels) * len(drawn.series))
        case Shares():
            return width, max(height, 0.5 + 0.6 * len(drawn.rows))
        case _:
            return size


def _draw_panel(axes: Any, panel: Panel) -> None:
    for line in panel.lines:
        _draw_line(axes, line, _colour(line.place), panel.smooth)
    axes.margins(x=0.02)
    if panel.from_zero:
        axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    axes.set_xlabel("step", loc="right")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.xaxis.grid(False)
    if panel.unit == "share":
        from matplotlib.ticker import PercentFormatter

        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(-0.02, 1.02)


def _draw_line(axes: Any, line: Line, colour: str, smooth: bool) -> None:
    """Each step faintly with the running mean on top; without `smooth`, or with few steps, only the steps."""
    import numpy as np

    values, dashes = np.array(line.values), DASHES[line.place % len(DASHES)]
    if line.spread is not None:
        spread = np.array(line.spread)
        axes.fill_between(line.steps, values - spread, values + spread, color=colour, alpha=0.13, linewidth=0)
    window = max(1, len(values) // 15)
    if window == 1 or not smooth:
        few = {"marker": "o", "markersize": 2.5} if len(values) <= 30 else {}
        axes.plot(line.steps, values, color=colour, linewidth=1.7, label=line.label, linestyle=dashes, **few)
        return
    axes.plot(line.steps, values, color=colour, linewidth=0.8, alpha=0.4)
    mean = running_mean(line.values, window)
    axes.plot(line.steps, mean, color=colour, linewidth=1.9, label=line.label, linestyle=dashes)


def running_mean(values: Sequence[float], window: int) -> Any:
    """Mean of up to `window` values ending at each; ignores NaN."""
    import numpy as np

    present = np.isfinite(values)
    sums = np.cumsum(np.where(present, values, 0.0))
    counts = np.cumsum(present)
    sums[window:] -= sums[:-window].copy()
    counts[window:] -= counts[:-window].copy()
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _draw_bars(axes: Any, bars: Bars) -> None:
    height = 0.72 / len(bars.series)
    longest = max((value for run in bars.series for value in run.values), default=1.0)
    for index, (label, values, place) in enumerate(bars.series):
        places = [row + (index - (len(bars.series) - 1) / 2) * height for row in range(len(values))]
        axes.barh(places, values, height=height * 0.86, color=_colour(place), label=label)
        for at, value in zip(places, values, strict=True):
            axes.text(value + longest * 0.015, at, f"{value:.3g}", va="center", size=8, color=LIGHT["muted"])
    axes.set_yticks(range(len(bars.labels)), bars.labels)
    axes.tick_params(axis="y", labelcolor=LIGHT["ink"])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.16 or 1)
    axes.set_xlabel("seconds", loc="right")
    axes.yaxis.grid(False)


def _draw_shares(axes: Any, shares: Shares) -> None:
    """Two intervals per row: before above, after below; three with a warm start."""
    from matplotlib.ticker import PercentFormatter

    for row, (_, *sides) in enumerate(shares.rows):
        drawn = {2: (("before", -0.17), ("after", 0.17)), 3: (("before", -0.25), ("warm", 0.0), ("after", 0.25))}
        for (share, low, high), (name, shift) in zip(sides, drawn[len(sides)], strict=True):
            place, colour = row + shift, LIGHT[name]
            axes.plot([low, high], [place, place], color=colour, linewidth=2.4, alpha=0.6, solid_capstyle="butt")
            axes.plot([share], [place], "o", color=colour, markersize=6, label=name if row == 0 else None)
            axes.text(high + 0.035, place, f"{share:.1%}", va="center", size=9, color=colour)
    axes.set_yticks(range(len(shares.rows)), [label for label, *_ in shares.rows])
    axes.tick_params(axis="y", labelcolor=LIGHT["ink"])
    axes.set_ylim(len(shares.rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.2)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.grid(False)


def _safe(name: str) -> str:
    """For a file and an `id`: a reward's name may come from anybody's metrics."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:LONGEST_NAME]


def _colour(place: int) -> str:
    return LIGHT[SERIES[place % len(SERIES)]]


def _inline(document: str, name: str, title: str) -> str:
    """Only the `<svg>`, with CSS variables for colours and unique `id`s."""
    body = document[document.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    for variable, colour in LIGHT.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", body, count=1)
    label = f' class="plot" role="img" aria-label="{html.escape(title)}"'
    body = re.sub(r'(<svg [^>]*?) height="[^"]*"', lambda found: found[1] + label, body, count=1)
    return body.strip()
