"""Which rewards of the menu need a row's answer."""

import ast
import inspect
import textwrap

from grpo_job.rewards import MENU
from grpo_job.rewards.asking import READ_NO_ANSWER


def test_those_that_read_no_answer_are_listed() -> None:
    def reads_it(name: str) -> bool:
        tree = ast.parse(textwrap.dedent(inspect.getsource(MENU[name])))
        return any(isinstance(node, ast.Name) and node.id == "answer" for node in ast.walk(tree))

    assert {name for name in MENU if not reads_it(name)} == READ_NO_ANSWER
