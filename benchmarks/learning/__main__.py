"""What a recipe learns, on yardsticks with held-out rows.

    python -m benchmarks.learning train sums2 --model FOLDER --out FOLDER [--recipe NAME|FILE.json] [--seed N]
                                        [--contestant job|tutorial|trl] [--part choose|report] [--set NAME=VALUE]
    python -m benchmarks.learning sweep RUNS.json --model FOLDER --out FOLDER [--gpus N] [--minutes N]
    python -m benchmarks.learning table FOLDER ...

A sweep's file is what `runs.expand` takes. Results are in `LEARNING.md`.
"""

import json
from pathlib import Path
from typing import Any

import click

from benchmarks.learning import rows, runs, sweep, table

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
model_option = click.option("--model", default="sample", help="folder of the model, or `sample`")
out_option = click.option("--out", type=FOLDER, required=True, help="folder for run folders, logs and table.md")
gsm8k_option = click.option("--gsm8k", type=FOLDER, help="folder with GSM8K's train.jsonl and test.jsonl")


@click.group()
def main() -> None:
    """What a recipe learns, on yardsticks with held-out rows."""


@main.command()
@click.argument("yardstick", type=click.Choice(rows.NAMES))
@model_option
@out_option
@gsm8k_option
@click.option("--recipe", default="gsm8k", help="name of a recipe, or a JSON file of GRPO_ variables")
@click.option("--contestant", default="job", type=click.Choice(runs.CONTESTANTS))
@click.option("--seed", default=1, help="of the rows, their order, sampling and LoRA")
@click.option("--part", default="choose", type=click.Choice(rows.PARTS), help="of the held-out rows")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="a GRPO_ variable")
@click.option("--gpu", type=int, help="number of the GPU; default: as visible")
def train(model: str, out: Path, gsm8k: Path | None, gpu: int | None, given: tuple[str, ...], **told: Any) -> None:
    """Train one yardstick with one recipe and seed."""
    settings = dict(pair.split("=", 1) for pair in given)
    name = told["contestant"] if told["contestant"] != "job" else Path(told["recipe"]).stem
    run = runs.Run(name=name, settings=settings, timeout=float("inf"), **told)
    code = sweep.run_one(run, runs.Place(model=model, out=out, gsm8k=gsm8k, gpu=gpu))
    click.echo(table.text([table.read(out / run.id)]))
    raise SystemExit(code)


@main.command(name="sweep")
@click.argument("file", type=FILE)
@model_option
@out_option
@gsm8k_option
@click.option("--gpus", default=0, help="GPUs to use, from number 0; 0: the CPU")
@click.option("--per-gpu", default=1, help="runs on one GPU at a time; above 1 their times say nothing")
@click.option("--minutes", default=float("inf"), help="after so many, what still runs is stopped")
@click.option("--caches", type=FOLDER, help="folder for compile caches; default: in --out")
def sweep_command(
    file: Path, model: str, out: Path, gsm8k: Path | None, gpus: int, per_gpu: int, minutes: float, caches: Path | None
) -> None:
    """Run a list of runs side by side; goes on after a failure."""
    todo = runs.expand(json.loads(file.read_text(encoding="utf-8")))
    out.mkdir(parents=True, exist_ok=True)
    where = sweep.places(model, out.resolve(), gsm8k, gpus, per_gpu, (caches or out).resolve())
    sweep.Sweep(todo, where, 60 * minutes).finish()
    click.echo(table.text(table.read_all(out)))


@main.command(name="table")
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
def table_command(folders: tuple[Path, ...]) -> None:
    """Print the tables of all runs below the folders."""
    click.echo(table.text([result for folder in folders for result in table.read_all(folder)]))


if __name__ == "__main__":
    main()
