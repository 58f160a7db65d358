"""Tiny models of the families that people fine-tune, through Unsloth and through TRL with vLLM."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines import families
from tests.gpu import runs

pytestmark = pytest.mark.gpu

CASES = list(itertools.product(("unsloth", "trl"), (family for family in families.FAMILIES if family != "mixtral")))
AT_ONCE = 4
REWARD = "def by_length(completion):\n    return float(len(completion) % 7)\n"


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[int, str]]:
    """Exit code and last words of each run."""

    def run(case: tuple[str, str]) -> tuple[int, str]:
        engine, family = case
        folder: Path = tmp_path_factory.mktemp("-".join(case))
        (folder / "reward.py").write_text(REWARD)
        settings = {
            "GRPO_ENGINE": engine, "GRPO_MODEL": str(families.make(family, folder / "model", wide=True)),
            "GRPO_LORA_TARGET_MODULES": families.targets(family), "GRPO_MAX_STEPS": "3", "GRPO_EVAL_ROWS": "4",
            "GRPO_REWARDS": f"{folder / 'reward.py'}::by_length:1", "GRPO_HEALTH": "off", "GRPO_BETA": "0.04",
        }  # fmt: skip
        return runs.start(folder / "run", settings).wait(400), runs.said(folder / "run")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(CASES, pool.map(run, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
def test_the_family_is_trained_loaded_back_and_measured(
    case: tuple[str, str], codes: dict[tuple[str, str], tuple[int, str]]
) -> None:
    code, said = codes[case]
    assert code == 0, said
