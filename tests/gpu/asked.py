"""What an engine asks vLLM for one prompt in evaluation and in training: prints the texts.

python -m tests.gpu.asked ENGINE FOLDER
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from grpo_job import engines, preflight, rewards
from grpo_job.phases import evaluate
from grpo_job.runtime import library_env
from grpo_job.settings.reader import resolve
from tests.gpu import runs
from tests.gpu.adapter_off import Deaf

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}<|assistant|>\n"
    "{% if opening %}<reasoning>\n{% endif %}"
)


def main(name: str, folder: Path) -> None:
    for variable in library_env.library_environment(runs.cache(folder)):
        os.environ[variable.name] = variable.value
    (folder / "mine.jinja").write_text(TEMPLATE, encoding="utf-8")
    variables = {
        **runs.SMOKE, "GRPO_ENGINE": name, "GRPO_MAX_STEPS": "1", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8",
        "GRPO_CHAT_TEMPLATE": str(folder / "mine.jinja"), "GRPO_CHAT_TEMPLATE_KWARGS": '{"opening": true}',
        "GRPO_REHEARSAL": "always", "GRPO_OUTPUT_DIR": str(folder),
    }  # fmt: skip
    settings = resolve(variables).settings
    checked = preflight.check(settings, os.environ)
    rows = checked.rows.train[:1]
    chosen = rewards.load([("tag_count", 1.0)])
    functions = rewards.as_trl_functions(chosen, 10)
    engine: Any = engines.build(checked.engine, settings, checked.base, rows, functions, folder, checked.plan)
    asked: list[str] = []
    answer = engine.llm.generate

    def listening(prompts: Any, *arguments: Any, **options: Any) -> Any:
        asked.extend(engine.tokenizer.decode(each["prompt_token_ids"]) for each in prompts)
        return answer(prompts, *arguments, **options)

    engine.llm.generate = listening
    evaluate.records(engine, "off", rows, chosen, settings, engine.chat)
    told = {"rendered": [engine.chat.render(rows[0]["prompt"])], "evaluation": list(set(asked))}
    asked.clear()
    engine.train(Deaf())
    print(json.dumps({**told, "training": list(set(asked))}), flush=True)
    engine.close()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
