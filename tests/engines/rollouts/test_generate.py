"""What vLLM tells of its answers while it generates, by the calls that `LLM.generate` of vLLM 0.26 makes, and after."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job.engines.rollouts.generate import _completions, _told
from grpo_job.evaluation.completion import Completion


def test_each_answer_is_told_and_no_bar_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[int, int]] = []
    use_tqdm = partial(_told, lambda done, asked: heard.append((done, asked)), 6)
    assert list(use_tqdm(iter("abc"), desc="Rendering prompts")) == ["a", "b", "c"]
    bar = use_tqdm(total=3, desc="Processed prompts", dynamic_ncols=True, postfix="est. speed")
    for _ in range(3):
        assert bar.format_dict["elapsed"] > 0
        bar.postfix = "est. speed input: 1.00 toks/s"
        bar.update(2)
        if bar.n == 6:
            bar.refresh()
    bar.close()
    assert heard == [(2, 6), (4, 6), (6, 6)]
    assert capfd.readouterr() == ("", "")


def test_an_answer_has_the_tokens_that_were_generated_whatever_its_text_would_have() -> None:
    tokenizer: Any = SimpleNamespace(batch_decode=lambda ids, **_: ["".join(map(chr, one)) for one in ids])
    outputs = [
        SimpleNamespace(token_ids=(97, 98, 99), finish_reason="stop"),
        SimpleNamespace(token_ids=(97, 98), finish_reason="length"),
    ]
    assert _completions(tokenizer, outputs) == [
        Completion("abc", 3, truncated=False),
        Completion("ab", 2, truncated=True),
    ]
