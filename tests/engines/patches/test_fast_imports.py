"""Which package is from which distribution, found without a look at each file."""

import importlib.metadata

from grpo_job.engines.patches.fast_imports import lean_imports, packages_distributions


def test_it_answers_what_python_itself_answers() -> None:
    theirs, ours = importlib.metadata.packages_distributions(), packages_distributions()
    theirs.pop("__pycache__", None)
    assert len(ours) > 50
    assert {name: set(found) for name, found in ours.items()} == {name: set(found) for name, found in theirs.items()}


def test_within_everybody_gets_one_list_and_behind_it_pythons_own_is_back() -> None:
    before = importlib.metadata.packages_distributions
    with lean_imports():
        assert importlib.metadata.packages_distributions() is importlib.metadata.packages_distributions()
    assert importlib.metadata.packages_distributions is before
