"""Containers of the image under test, run by podman or docker under every restriction that users may set."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping
from typing import Any

TOOL = os.environ.get("CONTAINER_TOOL", "podman")
IMAGE = os.environ.get("GRPO_TEST_IMAGE", "")
AVAILABLE = bool(IMAGE and shutil.which(TOOL))
LONGEST_SECONDS = 900

# Another user than the image's own, as some clusters choose one; nothing can be written but what is mounted.
RESTRICTED = (
    "--user=12345:0", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none",
    "--tmpfs=/tmp",
)  # fmt: skip
SMOKE = {"GRPO_RECIPE": "smoke", "GRPO_MAX_STEPS": "3", "GRPO_EVAL_ROWS": "20", "GRPO_RUN_ID": "run"}


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The container tool; raises with what it printed where it fails."""
    done = attempt(*arguments)
    assert done.returncode == 0, f"{TOOL} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done


def attempt(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The container tool, however it ends."""
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=LONGEST_SECONDS)


def run(*command: str, flags: tuple[str, ...] = (), **settings: str) -> subprocess.CompletedProcess[str]:
    """The image's own entrypoint with these arguments, restricted, to its end."""
    return attempt("run", "--rm", *RESTRICTED, *flags, *_environment(settings), IMAGE, *command)


def python(code: str) -> str:
    """What a line of Python prints in the image."""
    return tool("run", "--rm", "--entrypoint=python", IMAGE, "-c", code).stdout.strip()


def shell(command: str, user: str = "0:0") -> str:
    """What a shell command prints in the image."""
    return tool("run", "--rm", f"--user={user}", "--entrypoint=sh", IMAGE, "-c", command).stdout.strip()


def inspected(image: str = IMAGE) -> dict[str, Any]:
    (found,) = json.loads(tool("image", "inspect", image).stdout)
    return dict(found)


class Volumes:
    """The two volumes that every run is given, gone with `close`."""

    def __init__(self) -> None:
        name = f"grpo-image-{uuid.uuid4().hex[:8]}"
        self.outputs, self.cache = f"{name}-outputs", f"{name}-cache"
        for volume in (self.outputs, self.cache):
            tool("volume", "create", volume)
        self.flags = (f"--volume={self.outputs}:/outputs", f"--volume={self.cache}:/cache")

    def read(self, path: str) -> str:
        return self._in_it("cat", f"/outputs/{path}")

    def files(self, folder: str) -> set[str]:
        found = self._in_it("find", f"/outputs/{folder}", "-type", "f", "-printf", "%P\\n")
        return set(found.splitlines())

    def _in_it(self, command: str, *arguments: str) -> str:
        flags = (f"--volume={self.outputs}:/outputs:ro", f"--entrypoint={command}", "--user=0:0")
        return tool("run", "--rm", *flags, IMAGE, *arguments).stdout

    def close(self) -> None:
        for volume in (self.outputs, self.cache):
            attempt("volume", "rm", "--force", volume)


class Background:
    """A restricted container that goes on by itself; `close` ends it."""

    def __init__(self, *command: str, flags: tuple[str, ...] = (), **settings: str) -> None:
        self.id = tool(
            "run", "--detach", *RESTRICTED, *flags, *_environment(settings), IMAGE, *command
        ).stdout.strip()  # fmt: skip

    def wait_for_lines(self, path: str, lines: int) -> None:
        """Until a file in the container has so many lines."""
        end = time.monotonic() + LONGEST_SECONDS
        while self._lines(path) < lines:
            assert self.running(), self.log()
            assert time.monotonic() < end, f"{path} does not come to {lines} lines"
            time.sleep(0.2)

    def running(self) -> bool:
        return tool("inspect", "--format={{.State.Running}}", self.id).stdout.strip() == "true"

    def processes(self) -> list[str]:
        """The command lines in the container, that of PID 1 first."""
        listing = "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $p; echo; done"
        return tool("exec", self.id, "sh", "-c", listing).stdout.splitlines()

    def stop(self, seconds: int) -> int:
        """SIGTERM, after so many seconds SIGKILL; the exit code."""
        tool("stop", f"--time={seconds}", self.id)
        return int(tool("wait", self.id).stdout)

    def log(self) -> str:
        done = attempt("logs", self.id)
        return done.stdout + done.stderr

    def close(self) -> None:
        attempt("rm", "--force", self.id)

    def _lines(self, path: str) -> int:
        counted = attempt("exec", self.id, "wc", "-l", path).stdout.split()
        return int(counted[0]) if counted else 0


def _environment(settings: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in settings.items()]
