"""Builds `job.yaml` for `kubectl apply -f` from the parts in `base/`; kustomize would drop their comments.

Run it after a change there.
"""

import re
from pathlib import Path

K8S = Path(__file__).parents[1] / "k8s"
HEADER = (
    "# Made by tools/assemble_manifests.py from k8s/base. "
    "For a run of your own, edit it here: OWNER, and the settings.\n"
)
ORDER = (
    "service-account.yaml",
    "grpo.env",
    "volumes.yaml",
    "job.yaml",
)  # objects come before those that reference them

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: grpo-gsm8k
  labels:
    app.kubernetes.io/name: grpo-job
    app.kubernetes.io/component: settings
    app.kubernetes.io/part-of: grpo-job
data:
"""


def job() -> str:
    """Everything one run needs except its Secret, as one text."""
    texts = {name: (K8S / "base" / name).read_text() for name in ORDER}
    return HEADER + "---\n".join(config_map(text) if name == "grpo.env" else text for name, text in texts.items())


def config_map(env: str) -> str:
    """The env file as a ConfigMap, with its comments.

    >>> print(config_map("# why\\nA=1\\n#B=2\\n").removeprefix(CONFIG_MAP), end="")
      # why
      A: "1"
      #B: "2"
    """
    pairs = re.sub(r"^(#?[A-Z][A-Z0-9_]*)=(.*)$", r'\1: "\2"', env, flags=re.MULTILINE)
    return CONFIG_MAP + "".join(f"  {line}\n" for line in pairs.splitlines())


if __name__ == "__main__":
    (K8S / "job.yaml").write_text(job())
