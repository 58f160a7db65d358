"""How faults are planted into the good configuration of a `World`."""

import json
from pathlib import Path

from grpo_job.inputs import sample
from grpo_job.preflight import versions
from grpo_job.runtime.locked_versions import locked
from grpo_job.stores import Patience
from grpo_job.stores import hub as hub_store
from tests.preflight.world import World, rows_of


def written(path: Path, text: str) -> None:
    path.write_text(text)


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without(path: Path) -> None:
    path.unlink()


def template(world: World, text: str | None) -> None:
    folder = world.model()
    (folder / "chat_template.jinja").unlink()
    if text is not None:
        written(folder / "chat_template.jinja", text)


def index_of_missing_shard(world: World) -> None:
    folder = world.model()
    layers = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    names = {f"model.layers.0.{layer}.weight": "model-00002-of-00002.safetensors" for layer in layers}
    written(folder / "model.safetensors.index.json", json.dumps({"weight_map": names}))


def hub_answer(world: World, status: int, code: str) -> None:
    world.hub_model().fail("GET", r"/api/models/alice/model", status, times=99, X_Error_Code=code)


def packages(world: World, lock: str, **differing: str | None) -> None:
    there = {**locked()[lock], **{name.replace("_", "-"): version for name, version in differing.items()}}
    world.patch.setattr(versions, "installed", lambda: {name: version for name, version in there.items() if version})


def gpu_packages(world: World, **differing: str | None) -> None:
    world.gpu()
    packages(world, "gpu", **differing)


def rows_changed(world: World, **change: str) -> None:
    world.rows(train=[row | change for row in rows_of(sample.TRAIN, 100)])


def same_rows_held_out(world: World) -> None:
    world.rows(test=rows_of(sample.TRAIN, 100))


def unreachable(world: World) -> None:
    world.patch.setattr(hub_store, "CHECK", Patience(seconds=0.5, call=0.5, first_wait=0.1))
    world.set(PUBLISH_TO="hf://alice/out", HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="hf_alice_write_token")


def token(world: World, role: str | None) -> None:
    hub = world.hub()
    world.patch.delenv("HF_TOKEN")
    world.environment.pop("HF_TOKEN")
    if role:
        world.set(HF_TOKEN=hub.token("alice", role))
    world.set(PUBLISH_TO="hf://alice/out")


def hub_place(world: World, uri: str) -> None:
    world.hub()
    world.set(PUBLISH_TO=uri)


def file_in_the_way(world: World, **variables: str) -> None:
    written(world.folder / "file", "")
    world.set(**{name: text.format(world.folder / "file") for name, text in variables.items()})
