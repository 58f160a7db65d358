"""What the built image is: its labels, its user, its files, and what must not be in it."""

import json
import re
import tomllib
from pathlib import Path

from tests.image.containers import inspected, python, shell

ROOT = Path(__file__).parents[2]
LABELS = {"title", "description", "source", "revision", "version", "created", "licenses", "base.name", "base.digest"}


def test_labels_tell_what_it_is_and_what_it_is_made_of() -> None:
    labels = inspected()["Config"]["Labels"]
    ours = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert ours.keys() >= LABELS
    assert ours["title"] == "grpo-job"
    assert ours["licenses"] == "Apache-2.0"
    assert ours["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(r"[0-9a-f]{40}(-changed)?", ours["revision"])
    assert re.match(r"\d{4}-\d\d-\d\dT", ours["created"])
    assert ours["base.name"]


def test_it_starts_the_job_and_nothing_else() -> None:
    config = inspected()["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tini", "--", "python", "/app/entrypoint.py"]
    assert not config.get("Cmd")
    assert not config.get("ExposedPorts")
    assert config["User"] == "10001:0"
    assert config["StopSignal"] in ("SIGTERM", "15")


def test_the_heartbeat_is_its_health() -> None:
    found = inspected()
    check = found["Config"].get("Healthcheck") or found["Healthcheck"]
    assert "heartbeat" in " ".join(check["Test"])


def test_all_that_is_written_goes_below_cache_tmp_and_outputs() -> None:
    variables = dict(entry.split("=", 1) for entry in inspected()["Config"]["Env"])
    places = ("HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "GRPO_CACHE_DIR")
    assert all(variables[name].startswith(("/cache", "/tmp")) for name in places)
    assert variables["GRPO_OUTPUT_DIR"] == "/outputs"


def test_no_code_can_be_written_by_anybody_but_root() -> None:
    assert shell("find /app /opt /usr /etc /bin /lib -xdev ! -type l \\( -perm /022 -o ! -user root \\)") == ""


def test_folders_that_anybody_may_write_are_those_for_scratch() -> None:
    everybody = shell("find / -xdev -path /proc -prune -o -path /sys -prune -o -type d -perm -002 -print").split()
    assert set(everybody) - {"/dev", "/dev/shm", "/dev/mqueue"} <= {"/tmp", "/var/tmp", "/run/lock"}


def test_no_program_of_ours_takes_another_user() -> None:
    assert shell("find /app /opt /usr/local -xdev -perm /6000") == ""


def test_nothing_that_installs_or_compiles_is_left() -> None:
    assert shell("command -v pip pip3 uv gcc cc make git curl wget hadolint cyclonedx-py || true") == ""
    assert (
        python("import importlib.util as u; print([n for n in ('pip', 'uv', 'ensurepip') if u.find_spec(n)])") == "[]"
    )


def test_no_caches_and_no_tests_are_left() -> None:
    assert shell("find / -xdev -type d \\( -name .cache -o -name pip -path '*cache*' \\)") == ""
    assert shell("ls -A /var/lib/apt/lists /var/cache/apt 2>/dev/null | grep -v : || true") == ""
    assert shell("find /opt /app -xdev -type d \\( -name tests -o -path '*/torch/test' \\)") == ""


def test_what_the_builder_brought_along_is_not_in_it() -> None:
    """Neither the builder's own configuration and certificates nor the rest of the repository."""
    assert shell("find /etc/pip.conf /etc/uv /root/.config /root/.ssh -type f -size +0 2>/dev/null || true") == ""
    assert shell("ls -A /app").split() == ["LICENSE", "NOTICE", "entrypoint.py", "sbom.cdx.json"]


def test_no_secret_is_in_its_variables_or_its_history() -> None:
    found = inspected()
    told = json.dumps([found["Config"]["Env"], found.get("History", []), found["Config"]["Labels"]])
    assert not re.search(r"(?i)(token|secret|passw|api_?key)[A-Z_]*=", told)
    assert not re.search(r"hf_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|-----BEGIN", told)
    keys = "hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY"
    assert shell(f"grep -rlE -e '{keys}' /app /etc /root /opt/venv/lib/python3*/site-packages/grpo_job || true") == ""


def test_its_list_of_parts_is_what_is_installed() -> None:
    listed = {
        part["name"].lower().replace("_", "-"): part["version"]
        for part in json.loads(shell("cat /app/sbom.cdx.json"))["components"]
    }
    code = "import json, importlib.metadata as m; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    installed = {name.lower().replace("_", "-"): version for name, version in json.loads(python(code))}
    installed.pop("grpo-job")
    assert listed.items() >= installed.items()


def test_it_has_the_trackers() -> None:
    assert python("import alembic, mlflow, sqlalchemy, tensorboard.summary, wandb; print('imported')") == "imported"


def test_its_list_of_parts_names_the_licence_of_each() -> None:
    parts = json.loads(shell("cat /app/sbom.cdx.json"))["components"]
    assert [part["name"] for part in parts if not part.get("licenses")] == []


def test_its_packages_are_those_of_the_lock() -> None:
    code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    installed = {name.lower().replace("_", "-"): version for name, version in json.loads(python(code)).items()}
    locked = json.loads((ROOT / "grpo_job/runtime/locked_versions.json").read_text())["cpu"]
    assert installed.keys() - locked.keys() == {"grpo-job", "torch"}
    assert {name: installed.get(name) for name in locked} == locked


def test_its_bytecode_is_good_as_it_lies_there() -> None:
    """A root that cannot be written keeps what the build compiled, or compiles all of it at each start."""
    code = """
import importlib.util, pathlib, struct
root = pathlib.Path(importlib.util.find_spec("grpo_job").origin).parents[1]
packages = ("grpo_job", "pydantic", "transformers", "trl")
sources = [source for package in packages for source in root.glob(f"{package}/**/*.py")]
compiled = {source: pathlib.Path(importlib.util.cache_from_source(str(source))) for source in sources}
def is_good(source, file):
    return file.exists() and struct.unpack("<I", file.read_bytes()[8:12])[0] == int(source.stat().st_mtime)
print(len(sources) > 1000, [str(source) for source, file in compiled.items() if not is_good(source, file)][:3])
"""
    assert python(code) == "True []"
