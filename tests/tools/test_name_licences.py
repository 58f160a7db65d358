"""Every part of an image has a licence, or the build says which has none."""

import json
from pathlib import Path

import pytest

from tools.name_licences import main


def written(folder: Path, *parts: dict[str, object]) -> Path:
    file = folder / "sbom.cdx.json"
    file.write_text(json.dumps({"bomFormat": "CycloneDX", "components": parts}))
    return file


def test_a_part_without_a_licence_gets_the_one_of_its_text_and_others_keep_theirs(tmp_path: Path) -> None:
    named = {"name": "torch", "licenses": [{"license": {"id": "BSD-3-Clause"}}]}
    file = written(tmp_path, named, {"name": "hf_transfer", "version": "0.1.9"})
    main(file)
    first, second = json.loads(file.read_text())["components"]
    assert first == named
    assert second == {"name": "hf_transfer", "version": "0.1.9", "licenses": [{"expression": "Apache-2.0"}]}


def test_a_part_that_nobody_looked_at_fails_the_build_with_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, {"name": "new-package"})
    with pytest.raises(SystemExit, match="no licence is named for new-package"):
        main(file)
    assert json.loads(file.read_text())["components"] == [{"name": "new-package"}]
