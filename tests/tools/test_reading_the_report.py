"""docs/reading-the-report.md explains each part of the report and each curve; its picture is small."""

import re
from pathlib import Path

from grpo_job.reports import content, panels
from grpo_job.settings.schema import known_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reading-the-report.md").read_text(encoding="utf-8")
TEMPLATES = [path.read_text(encoding="utf-8") for path in (ROOT / "grpo_job" / "reports").glob("report*.html")]


def test_each_section_of_the_report_has_one_of_the_page() -> None:
    sections = {title for text in TEMPLATES for title in re.findall(r"<h2[^>]*>([^<{]+)</h2>", text)}
    assert len(sections) >= 6
    assert sections <= set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))


def test_each_curve_is_told() -> None:
    told = set(re.findall(r"^\| ([A-Z][^|]+) \|", PAGE, re.MULTILINE))
    assert {metric.title for metric in panels.METRICS} <= told
    assert all(metric.title in PAGE for metric in panels.SPEED)


def test_each_verdict_is_told() -> None:
    for _, title in content.STATES.values():
        assert title.partition(":")[0] in PAGE


def test_the_settings_that_it_names_exist() -> None:
    assert {name.lower() for name in re.findall(r"GRPO_(\w+)", PAGE)} <= set(known_names())


def test_its_pictures_are_small() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE)
    assert pictures
    assert all((ROOT / "docs" / name).stat().st_size < 200_000 for name in pictures)
