"""What Dockerfile, Makefile and workflows must agree on; read, not built."""

import re
from pathlib import Path

from grpo_job.runtime import cuda_driver

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = [path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")]
SAME_IN_BOTH = (
    r"^USER .*", r"^WORKDIR /app", r"^STOPSIGNAL .*", r"^ENTRYPOINT .*", r"^HEALTHCHECK (?:.*\\\n)*.*",
    r"^ +USER=(?:.*\\\n)*.*", r"^ && useradd (?:.*\\\n)*.*",
)  # fmt: skip


def stage(name: str) -> str:
    """The text of a stage and of the stages before it that are its own."""
    return DOCKERFILE.split(f"# ---- {name}:")[1].split("\n# ---- ")[0]


def test_both_images_start_in_the_same_way() -> None:
    for pattern in SAME_IN_BOTH:
        cpu, gpu = (re.findall(pattern, stage(name), re.MULTILINE) for name in ("cpu", "gpu"))
        assert len(cpu) == 1, pattern
        assert cpu == gpu


def test_metrics_of_both_images_are_heard_outside_the_container() -> None:
    for name in ("cpu", "gpu"):
        assert re.search(r"^ENV (?:.*\\\n)*.*\bGRPO_METRICS_ADDRESS=0\.0\.0\.0\b", stage(name), re.MULTILINE)


def test_the_image_that_trains_is_the_default() -> None:
    stages = re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert stages[-1] == "gpu"
    assert "cpu" in stages


def test_bases_are_pinned_by_digest() -> None:
    digests = re.findall(r"^ARG (?:CPU_)?BASE_DIGEST=(.+)$", DOCKERFILE, re.MULTILINE)
    assert len(digests) == 2
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in digests)


def test_older_drivers_are_let_in_by_branch_and_never_for_consumer_gpus() -> None:
    """The same branches as the check's table; the libraries that they need are in the image."""
    (stated,) = re.findall(r'NVIDIA_REQUIRE_CUDA="((?:[^"])*)"', stage("gpu"))
    cuda, *older = stated.replace("\\\n", "").split(" ")
    assert cuda == "cuda>=13.0"
    brands = {rule.partition(",")[0] for rule in older}
    assert {"brand=tesla", "brand=nvidia", "brand=nvidiartx"} <= brands
    assert not [brand for brand in brands if "geforce" in brand or "titan" in brand]
    assert sorted(older) == sorted(
        f"{brand},driver>={branch},driver<{branch + 1}" for brand in brands for branch in cuda_driver.BRANCHES
    )
    assert f"ARG CUDA_COMPAT={cuda_driver.PACKAGE}" in stage("gpu")


def test_one_version_of_torch_is_named() -> None:
    (locked,) = re.findall(r"^(torch==\S+) ", (ROOT / "locks" / "torch-cpu.lock").read_text(), re.MULTILINE)
    (of_make,) = re.findall(r"^TORCH := (\S+)$", MAKEFILE, re.MULTILINE)
    assert locked == of_make


def test_every_package_of_both_images_is_installed_by_its_hash() -> None:
    installs = re.findall(r"^RUN (?:\S+pip|\S+ -m pip|\S+uv pip) install (?:.*\\\n)*.*", DOCKERFILE, re.MULTILINE)
    ours = [command for command in installs if "/source" in command]
    assert len(installs) - len(ours) >= 5
    assert all("--require-hashes" in command for command in installs if command not in ours)


def test_licences_that_ask_for_more_than_ours_are_named() -> None:
    """In the notice, which both images hold, in the label of the image that has the packages, and in the README."""
    locked = dict(re.findall(r"^(unsloth(?:-zoo)?)==(\S+) ", (ROOT / "locks" / "gpu.lock").read_text(), re.MULTILINE))
    notice, readme = (ROOT / "NOTICE").read_text(), (ROOT / "README.md").read_text()
    assert f"unsloth {locked['unsloth']} " in notice
    assert f"unsloth_zoo {locked['unsloth-zoo']} " in notice
    assert "AGPL-3.0-only AND LGPL-3.0-or-later" in stage("gpu")
    assert "AGPL" not in stage("cpu")
    assert DOCKERFILE.count("COPY LICENSE NOTICE entrypoint.py /app/") == 2
    assert "[NOTICE](NOTICE)" in readme


def test_the_parts_lists_of_both_images_name_licences() -> None:
    commands = re.findall(r"cyclonedx-py (.*) --output-file", DOCKERFILE)
    assert commands == ["environment --gather-license-texts --output-reproducible"] * 2
    assert "python3 /name_licences.py /sbom.cdx.json" in stage("gpu")


def test_what_anybody_could_write_to_is_left_out() -> None:
    """uv leaves a lock that is open to all in each environment that it installs to."""
    removed = re.findall(r"rm -r?f [^&\n]*?(/\S*/\.lock)", stage("gpu"))
    assert removed == ["/code/opt/venv/.lock", "/opt/venv/.lock"]


def test_both_halves_of_pythons_headers_go_with_the_compiler() -> None:
    copied = re.findall(r"^COPY --from=gpu-layers (/usr/include\S*) \1$", DOCKERFILE, re.MULTILINE)
    assert copied == ["/usr/include/python3.12", "/usr/include/x86_64-linux-gnu/python3.12"]


def test_workflows_pin_what_they_use_and_call_targets_that_exist() -> None:
    used = [action for text in WORKFLOWS for action in re.findall(r"uses: (\S+)", text)]
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action in used)
    called = {word for text in WORKFLOWS for line in re.findall(r"make ([a-z -]+)", text) for word in line.split()}
    called |= {target for text in WORKFLOWS for target in re.findall(r"target: ([a-z-]+)", text)}
    assert called >= {"lint", "types", "smoke", "test", "image", "image-cpu", "image-test"}
    assert called <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_only_what_an_image_holds_goes_to_its_builder() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == {
        "grpo_job", "locks", "entrypoint.py", "pyproject.toml", "setup.py", "docs/package.md",
        "LICENSE", "NOTICE", "tools/name_licences.py",
    }  # fmt: skip
