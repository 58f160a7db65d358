"""Checks the adapter that GRPO_ADAPTER starts from: it is of this base, fits it, and has the shape that was set."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from grpo_job.inputs import start_adapter
from grpo_job.inputs.base_model import BaseModel
from grpo_job.inputs.start_adapter import StartAdapter
from grpo_job.outcomes import InvalidRun, Outage
from grpo_job.preflight import weights
from grpo_job.preflight.findings import Finding, Findings
from grpo_job.settings.reader import GIVEN, Resolved
from grpo_job.settings.schema import Settings, variable

NAME = "start adapter"
ORIGIN = "GRPO_ADAPTER"
SHAPE = ("lora_rank", "lora_alpha", "lora_target_modules")
LAYERS = "layers."
QUANTIZED = ("-unsloth-bnb-4bit", "-bnb-4bit")  # the same base in 4 bits, as its copies on the Hub are named


def adopt(
    resolved: Resolved, environment: Mapping[str, str], *, offline: bool = False
) -> tuple[Resolved, StartAdapter | None]:
    """The settings with rank, alpha and target modules of the start adapter where the user set none, and the adapter.

    An adapter that cannot be read is None here, and the checks say why. Raises `Outage` if it cannot be reached now:
    without it, this would be another run.
    """
    name = resolved.settings.adapter
    if name is None or (offline and start_adapter.is_remote(name)):
        return resolved, None
    try:
        start = start_adapter.fetch(name, environment)
    except Outage:
        raise
    except InvalidRun:
        return resolved, None
    taken = {field for field in SHAPE if not resolved.origins[field].startswith(GIVEN)}
    shape = {field: value for field, value in _shape(start).items() if field in taken}
    origins = {**resolved.origins, **dict.fromkeys(shape, ORIGIN)}
    return Resolved(resolved.settings.model_copy(update=shape), origins), start


def examined(
    start: StartAdapter | None,
    base: BaseModel | None,
    settings: Settings,
    environment: Mapping[str, str],
    found: Findings,
    *,
    offline: bool,
) -> StartAdapter | None:
    """The start adapter, read unless it was already, with its findings added to `found`; None without one."""
    name = settings.adapter
    if name is None:
        return None
    if start is None and offline and start_adapter.is_remote(name):
        found.append(Finding("skipped", NAME, f"{name} is not asked offline"))
        return None
    start = start or found.attempt(NAME, lambda: start_adapter.fetch(name, environment))
    if start:
        found += findings(start, base, settings)
    return start


def findings(start: StartAdapter, base: BaseModel | None, settings: Settings) -> Iterator[Finding]:
    """`base` is None where the model could not be read, which has a finding of its own."""
    faults = [*_of_another_shape(start, settings)]
    if base:
        faults += [*_of_another_base(start, base), *_does_not_fit(start, base)]
        yield from _odd_base(start, base)
    yield from (Finding("failed", NAME, fault) for fault in faults)
    if not faults:
        shape = ", ".join(f"{name.removeprefix('lora_')} {_text(value)}" for name, value in _shape(start).items())
        yield Finding(
            "passed", NAME, f"{start.name} ({shape}), SHA-256 {start.sha256[:12]}; its accuracy is the before"
        )


def _shape(start: StartAdapter) -> dict[str, object]:
    found = start.lora
    return dict(zip(SHAPE, (found.rank, found.alpha, found.modules), strict=True))


def _of_another_shape(start: StartAdapter, settings: Settings) -> Iterator[str]:
    for field, own in _shape(start).items():
        given = getattr(settings, field)
        if given != own and (not isinstance(own, tuple) or set(given) != set(own)):
            yield (
                f"{variable(field)}: {_text(given)} was given, but {start.name}, which GRPO_ADAPTER starts from, has "
                f"{_text(own)}; allowed: {_text(own)}, or unset it"
            )


def _of_another_base(start: StartAdapter, base: BaseModel) -> Iterator[str]:
    of = _base_of(start)
    if of and not _same(of, base) and (base.commit or base.name == "sample" or not _is_hub_id(of)):
        yield (
            f"GRPO_ADAPTER: {start.name!r} was given; it was trained on {of}, not on GRPO_MODEL={base.name}; "
            f"allowed: GRPO_MODEL={of}, or an adapter of {base.name}"
        )


def _odd_base(start: StartAdapter, base: BaseModel) -> Iterator[Finding]:
    """What cannot be told: a local copy may have any name, and a base moves on."""
    of, revision = _base_of(start), start.lora.config.get("revision")
    if not of:
        why = f"{start.name} does not name its base: look whether that is {base.name}"
    elif not _same(of, base):
        why = f"{start.name} was trained on {of}: look whether that is the model in {base.name}"
    elif revision and base.commit and revision != base.commit:
        why = (
            f"{start.name} was trained on {of} at {revision}, not at {base.commit}: set GRPO_MODEL_REVISION={revision}"
        )
    else:
        return
    yield Finding("warned", NAME, why)


def _base_of(start: StartAdapter) -> str:
    return str(start.lora.config.get("base_model_name_or_path") or "")


def _same(of: str, base: BaseModel) -> bool:
    """Whether this name is the base's: the last parts of the two are equal, but for its 4-bit copies.

    Checkpoints name its folder: `models--owner--name/snapshots/commit`, wherever the Hub's cache is.
    """
    return _last_part(of) == _last_part(base.name) or Path(of).parts[-3:] == base.folder.parts[-3:]


def _last_part(name: str) -> str:
    last = name.rstrip("/").rpartition("/")[2].lower()
    return next((last.removesuffix(suffix) for suffix in QUANTIZED if last.endswith(suffix)), last)


def _is_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith(("/", ".", "~")) and not Path(name).is_dir()


def _does_not_fit(start: StartAdapter, base: BaseModel) -> Iterator[str]:
    """By the names and shapes of the base's weights, where they can be read and have the usual names."""
    shapes = {name: shape for name, shape in weights.shapes(base).items() if name.endswith(".weight")}
    there: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        there.setdefault(_place(name), []).append(tuple(shape))
    own = {place: size for name, size in start.lora.layers.items() if (place := _place(name)).startswith(LAYERS)}
    if not own or not any(place.startswith(LAYERS) for place in there):
        return
    strange = [place for place in own if place not in there]
    other = [place for place, size in own.items() if place in there and size not in there[place]]
    missing = [place for place in _adapted(shapes, own) if place not in own]
    whys = [
        *(f"{place} is no layer of the model" for place in strange[:1]),
        *(f"{place} is {_by(there[place][0])} in the model, {_by(own[place])} in the adapter" for place in other[:1]),
        *(f"it leaves out {place}" for place in missing[:1]),
    ]
    if whys:
        yield f"GRPO_ADAPTER: {start.name!r} was given; it does not fit {base.name}: {', '.join(whys)}"


def _adapted(shapes: Mapping[str, object], own: Mapping[str, object]) -> list[str]:
    """The layers that PEFT would adapt in the base; none where several towers or experts have layers of one name."""
    towers = {name.partition(LAYERS)[0] for name in shapes if LAYERS in name}
    if len(towers) > 1 or any("experts" in name for name in shapes):
        return []
    modules = {place.rpartition(".")[2] for place in own}
    places = (_place(name) for name in shapes)
    return [place for place in places if place.startswith(LAYERS) and place.rpartition(".")[2] in modules]


def _place(name: str) -> str:
    """A layer's name from `layers.` on, which is equal in all of transformers' classes of a model."""
    _, found, rest = name.removesuffix(".weight").partition(LAYERS)
    return f"{LAYERS}{rest}" if found else name.removesuffix(".weight")


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
