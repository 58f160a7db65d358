"""Serves base and adapter on the CPU with transformers and PEFT, in a process of its own behind pipes.

The process reads one JSON object a line, and writes one for each; its first line says what is wrong with the adapter.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from grpo_job.engines.interface import Adapter
from grpo_job.engines.served import Answer, Ask, Model, Step, gap
from grpo_job.outcomes import Abandoned, in_one_line
from grpo_job.settings.own_process import finding_this_package

LIKELIEST = 20  # next tokens in which a recorded one is looked for
LAST_STEPS = 4  # more tokens than four hardly begin one that is longer
WEIGHTS = "adapter_model.safetensors"


@contextmanager
def serving(model: Model, environment: Mapping[str, str]) -> Iterator[Ask]:
    """See `served.serving`."""
    order = [str(model.base), str(model.adapter or ""), str(model.max_tokens)]
    own = finding_this_package(environment)  # and, by -P, no folder that happens to be here
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, *order], env=own,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            if faults := _heard(process, log):
                raise Abandoned(f"the adapter is not whole: {'; '.join(faults)}")
            yield partial(_ask, process, log)
        finally:
            process.kill()
            process.communicate()


def _ask(
    process: "subprocess.Popen[str]", log: IO[str], prompts: Sequence[str], recorded: Sequence[str], adapter: Adapter
) -> list[Answer]:
    assert process.stdin
    with suppress(BrokenPipeError):  # it ended, and `_heard` says why
        print(json.dumps([list(prompts), list(recorded), adapter]), file=process.stdin, flush=True)
    return [Answer(*one) for one in _heard(process, log)]


def _heard(process: "subprocess.Popen[str]", log: IO[str]) -> list[Any]:
    """The next line of the process. Raises `Abandoned` with the last line of its log if it ended instead."""
    assert process.stdout
    if line := process.stdout.readline():
        found: list[Any] = json.loads(line)
        return found
    process.wait()
    log.seek(0)
    said = [line for line in log.read().splitlines() if line.strip()] or [f"ended with {process.returncode}"]
    raise Abandoned(f"base and adapter cannot be loaded or asked: {said[-1].strip()[:500]}")


def main(base: Path, adapter: Path | None, max_tokens: int) -> None:
    """In the process of its own."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is none of the answers
    try:
        loaded = _Loaded(base, adapter)
        print(json.dumps(loaded.faults), file=told, flush=True)
        for line in sys.stdin:
            prompts, recorded, side = json.loads(line)
            print(json.dumps(loaded.answers(prompts, recorded, side, max_tokens)), file=told, flush=True)
    except Exception as error:  # of a third party's files, whatever it is
        sys.exit(f"{type(error).__name__}: {in_one_line(error)}")


class _Loaded:
    """The model as a stranger loads it, with the tokenizer beside the adapter."""

    def __init__(self, base: Path, adapter: Path | None) -> None:
        from transformers import AutoTokenizer

        from grpo_job.engines.rollouts import on_cpu

        on_cpu.few_threads(json.loads((base / "config.json").read_text(encoding="utf-8")))
        self.tokenizer = AutoTokenizer.from_pretrained(adapter or base, padding_side="left", trust_remote_code=False)
        self.model = on_cpu.load_base(base)
        self.faults: list[str] = []
        if adapter:
            from peft import PeftModel

            self.model = PeftModel.from_pretrained(self.model, adapter)
            self.faults = [*_not_as_saved(self.model, adapter / WEIGHTS)]

    def answers(
        self, prompts: Sequence[str], recorded: Sequence[str], adapter: Adapter, max_tokens: int
    ) -> list[tuple[str, float]]:
        from grpo_job.engines.rollouts import on_cpu

        found = on_cpu.generate(self.model, self.tokenizer, prompts, adapter=adapter, max_tokens=max_tokens)
        return [
            (text, 0.0 if text == known else self._gap(prompt, text, known, adapter))
            for prompt, ((text, *_),), known in zip(prompts, found, recorded, strict=True)
        ]

    def _gap(self, prompt: str, text: str, recorded: str, adapter: Adapter) -> float:
        """Where `text` parts from `recorded`."""
        import torch

        encode = partial(self.tokenizer, add_special_tokens=False)
        asked, answer = encode(prompt)["input_ids"], encode(text)["input_ids"]
        shared = 0
        while shared < len(answer) and recorded.startswith(self._text(answer[: shared + 1])):
            shared += 1
        with torch.inference_mode(), self.model.disable_adapter() if adapter == "off" else nullcontext():
            logits = self.model(torch.tensor([[*asked, *answer[:shared]]])).logits[0, len(asked) - 1 :]
        values, tokens = logits.float().log_softmax(-1).topk(min(LIKELIEST, logits.shape[-1]))
        first = max(0, shared + 1 - LAST_STEPS)
        steps = [self._step(answer, at, values[at].tolist(), tokens[at].tolist()) for at in range(first, shared + 1)]
        return gap(steps, recorded)

    def _step(self, answer: Sequence[int], at: int, values: Sequence[float], tokens: Sequence[int]) -> Step:
        before, likely = self._text(answer[:at]), dict[str, float]()
        for value, token in zip(values, tokens, strict=True):
            likely.setdefault(self._text([*answer[:at], token]).removeprefix(before), value)
        return Step(len(before), self._text(answer[: at + 1]).removeprefix(before), likely)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def _not_as_saved(model: Any, weights: Path) -> Iterator[str]:
    """PEFT only warns of weights that are missing, and says nothing of those that it does not use."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    loaded, saved = get_peft_model_state_dict(model, save_embedding_layers=False), load_file(weights)
    for what, names in (("lacks", loaded.keys() - saved.keys()), ("does not use", saved.keys() - loaded.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"it {what} {min(names)}{more}"
    for name in sorted(loaded.keys() & saved.keys()):
        if not bool((loaded[name].float() == saved[name].float()).all()):
            yield f"{name} was loaded with other values"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None, int(sys.argv[3]))
