"""The wheel, built from what a clone holds and installed in a clean environment: what it tells, and what it does."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCE = "https://git.example.org/team/grpo-job"


def told(command: Sequence[str | Path], folder: Path, **variables: str) -> str:
    """What a command says in a folder, without this process's settings and import paths."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRPO_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=folder, env={**kept, **variables}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (clone := folder / "clone").mkdir()
    names = told(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, "."]
    told(build, clone, SOURCE=SOURCE)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has the wheel, and this one's packages without this project."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for path in Path(pytest.__file__).parents[1].iterdir():
        if not path.name.startswith(("grpo_job", "__editable__", "~")):
            (site / path.name).symlink_to(path)
    python = folder / "venv" / "bin" / "python"
    told([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel], folder)
    return python.parent


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def test_its_metadata_names_authors_licence_pythons_and_where_the_source_is(wheel: Path) -> None:
    found = metadata(wheel)
    assert found["Author"] == "The grpo-job authors"
    assert found["License-Expression"] == "Apache-2.0"
    assert found["Requires-Python"] == "<3.13,>=3.11"
    assert f"Source, {SOURCE}" in found.get_all("Project-URL", [])
    classifiers = " ".join(found.get_all("Classifier", []))
    assert "Python :: 3.11" in classifiers
    assert "Python :: 3.12" in classifiers


def test_its_page_has_no_link_or_image_that_an_index_could_not_follow(wheel: Path) -> None:
    page = str(metadata(wheel).get_payload())
    assert page.startswith("# grpo-job")
    links = re.findall(r"\]\(([^)]*)\)|<img[^>]* src=\"([^\"]*)", page)
    assert [link for link in links if not "".join(link).startswith("https://")] == []


def test_it_needs_no_library_that_only_a_benchmark_or_test_uses(wheel: Path) -> None:
    needed = [line for line in metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not [line for line in needed if re.match(r"math-verify|torch|pytest|wandb|mlflow|tensorboard", line)]


def test_installed_it_shows_help_and_checks_a_run_outside_the_checkout(commands: Path, tmp_path: Path) -> None:
    grpo_job = commands / "grpo-job"
    assert "Usage: grpo-job" in told([grpo_job, "--help"], tmp_path)
    home = {"HOME": str(tmp_path), "GRPO_RECIPE": "smoke", "CUDA_VISIBLE_DEVICES": ""}
    assert "max_steps" in told([grpo_job, "check", "--offline"], tmp_path, **home).lower()
    where = told([commands / "python", "-c", "import grpo_job; print(grpo_job.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(commands.parent)
