"""What pyproject.toml cannot say: where the source is. `SOURCE=https://… make wheel` names it, as for the images."""

import os

from setuptools import setup

source = os.environ.get("SOURCE", "").rstrip("/")
places = {"Source": "", "Documentation": "/tree/main/docs", "Changelog": "/blob/main/CHANGELOG.md", "Issues": "/issues"}
setup(project_urls={name: source + path for name, path in places.items()} if source.startswith("https://") else {})
