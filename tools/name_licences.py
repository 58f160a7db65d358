"""Names the licences of parts whose wheels hold them as a text only, or not at all: `name_licences.py SBOM`.

Runs in the builder of the GPU image, where this package is not. Fails if a part has none afterwards, so that a changed
lock needs a look at it.
"""

import json
import sys
from pathlib import Path

# As the licence text of the wheel says; `cuda-toolkit` is a list of NVIDIA's packages without a file of its own.
LICENCES = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "hf-transfer": "Apache-2.0",
    "humming-kernels": "Apache-2.0",
    "openai-harmony": "Apache-2.0",
}


def main(sbom: Path) -> None:
    document = json.loads(sbom.read_text())
    nameless = [part for part in document["components"] if not part.get("licenses")]
    unknown = []
    for part in nameless:
        licence = LICENCES.get(part["name"].lower().replace("_", "-"))
        if licence:
            part["licenses"] = [{"expression": licence}]
        else:
            unknown.append(part["name"])
    if unknown:
        sys.exit(f"{sbom}: no licence is named for {', '.join(unknown)}: add it to LICENCES of tools/name_licences.py")
    sbom.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
