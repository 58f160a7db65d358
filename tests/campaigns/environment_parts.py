"""What the fuzzed environments are made of: a good one, and variables of settings, clients and launchers spoilt."""

import random
from functools import cache
from pathlib import Path

from grpo_job.inputs import sample
from grpo_job.settings.schema import known_names, variable

# Of the libraries, of launchers and of the system.
OTHERS = (
    "HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_HUB_ETAG_TIMEOUT",
    "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE", "MLFLOW_TRACKING_URI",
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "CUDA_VISIBLE_DEVICES", "HOME", "TMPDIR", "PATH", "XDG_CACHE_HOME", "RANK", "LOCAL_RANK", "WORLD_SIZE",
    "LOCAL_WORLD_SIZE", "PET_NNODES", "MASTER_ADDR", "LANG", "LC_ALL", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM",
    "PYTHONPATH", "TRANSFORMERS_VERBOSITY",
)  # fmt: skip
PLACES = (
    "OUTPUT_DIR", "CACHE_DIR", "REWARD_PATH", "TERMINATION_LOG", "MODEL", "DATASET", "EVAL_DATASET", "CHAT_TEMPLATE",
    "PUBLISH_TO", "CHECKPOINT_TO", "EXAMPLE", "REWARDS", "MEASURE", "REWARD_OPTIONS", "REPORT_TO",
)  # fmt: skip
VALUES = (
    "", " ", "\r", "\n", "\t", '"', "'x", '"sample"', "'1'", "“smoke”", "sample\r", "\ufeffsample",
    "sam\u200bple", "1\r\n", "\udce9", "a\udcffb", "/data/\udce9t\udce9", "\x01", "a\x1bb", "é", "日本語",
    "🙂", "\u202esample", "${HOME}/x", "$(MODEL)", "$X", "{{ x }}", "~", "~/x", "~nosuchuser", "~nosuchuser/x",
    "x" * 256, "é" * 200, "/x" * 2500, "x/" * 3000, "/", ".", "..", "../..", "-", "--", "/dev/null", "/dev/full",
    "/dev/zero", "/proc/self/mem", "/proc/1/environ", "/etc/passwd", "/etc/passwd/x", "/nonexistent/x", "0", "1",
    "-1", "2.5", "1e400", "nan", "inf", "9" * 30, "9" * 5000, "０", "²", "0x10", "true", "none", "auto", "off",
    "[]", "{}", "{", '{"a": 1}', '{"correct": 1}', "[" * 100_000, '{"a":' * 50_000, "a,b,,c", "::1", "[::1]",
    "localhost,::1,[fd00::1]", "fd00::/8", "10.0.0.0/8", "localhost:abc", "*", "socks5://proxy:1080",
    "socks4://proxy", "proxy:3128", "http://proxy:abc", "http://", "http://u:p@proxy:1", "http://[::1",
    "http://::1:80", "http://a b", "https://日本", "http://" + "x" * 100, "http://x:99999", "ftp://host",
    "//host", "hf://owner/name", "hf://owner/name@b r", "hf://" + "x" * 200 + "/y", "s3://bucket/x", "s3://bu",
    "s3://bucket/" + "x" * 2000, "file:///tmp/%00", "file:///%ff", "file:///etc/passwd", "file:///dev/null/x",
    "file:///proc/x", "file:///" + "x" * 300, "gs://b/x", "openai/gsm8k", "a/b/c", "owner/" + "x" * 200,
    "correct:2,format_tags:0.5", "./x.py::f", "/etc/passwd::f", "x" * 300 + ".y", "~nosuchuser/x.py::f",
    "os.system", "no.such", "wandb", "tensorboard", "hf_abcdefghijkl", "hf_abc def", "Bearer hf_abcdef",
    "hf_аbcdefghijkl", "legacy", "adaptive",
)  # fmt: skip
HOW = ("ascii", "gone", "stranger")


class Files:
    """Files and folders that a variable may name, each wrong for most of them."""

    def __init__(self, root: Path) -> None:
        self.home, self.outputs = root / "home", root / "outputs"
        for folder in (self.home, self.outputs, root / "closed", root / "empty"):
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)
        self.rows = root / "rows"
        self.rows.mkdir()
        for split, path in (("train", sample.TRAIN), ("test", sample.HELD_OUT)):
            (self.rows / f"{split}.jsonl").write_text("".join(path.open().readlines()[:40]))
        contents = {
            "utf16.txt": "hf_abcdefghijkl\r\n".encode("utf-16"),
            "bom.txt": b"\xef\xbb\xbfhf_abcdefghijkl\n",
            "latin1.txt": "hf_\xe9".encode("latin-1"),
            "words.txt": b"two words\nand lines\n",
            "nul.txt": b"a\0b",
            "empty.txt": b"",
            "random.bin": random.Random(0).randbytes(4096),
            "rows.jsonl": b'{"question": "1 + 1?", "answer": "2"}\n',
            "broken.jsonl": b'{"question": \n',
            "rows.parquet": b"PAR1 none",
            "mine.py": b"def paid(completion, answer):\n    return 1.0\n",
            "wrong.py": b"raise RuntimeError('no')\n",
            "closed/secret.txt": b"hf_abcdefghijkl\n",
            "unreadable.txt": b"hf_abcdefghijkl\n",
        }
        self.named = [str(root / "empty"), str(root / "closed"), str(root / "closed" / "x"), str(self.outputs)]
        for name, content in contents.items():
            (root / name).write_bytes(content)
            self.named.append(str(root / name))
        (root / "loop").symlink_to(root / "loop")
        self.named += [
            str(root / "loop"),
            str(root / "loop" / "x"),
            f"{root / 'mine.py'}::paid",
            f"{root / 'wrong.py'}::f",
        ]
        (root / "unreadable.txt").chmod(0)
        (root / "closed").chmod(0)


def fuzzed(chance: random.Random, files: Files) -> tuple[dict[str, str], list[str]]:
    """An environment with one to four things spoilt, and what else is wrong with the process."""
    environment = {
        "GRPO_RECIPE": "smoke",
        "GRPO_OUTPUT_DIR": str(files.outputs),
        "GRPO_CACHE_DIR": str(files.home / "cache"),
        "HOME": str(files.home),
        "PATH": "/usr/bin:/bin",
        "CUDA_VISIBLE_DEVICES": "",
        "GRPO_DATASET": str(files.rows),  # few: most of the time would go into reading them
    }
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        name, value = _name(chance), _value(chance, files)
        if chance.random() < 0.08:
            environment.pop(chance.choice(list(environment)), None)
        elif chance.random() < 0.1:
            environment[_spoilt(chance, name)] = value
        else:
            environment[name] = value
    return environment, [way for way in HOW if chance.random() < 0.08]


@cache
def _settings() -> list[str]:
    return [variable(name) for name in known_names()]


def _name(chance: random.Random) -> str:
    return chance.choice((chance.choice(OTHERS), f"GRPO_{chance.choice(PLACES)}", chance.choice(_settings())))


def _value(chance: random.Random, files: Files) -> str:
    value = chance.choice(files.named) if chance.random() < 0.3 else chance.choice(VALUES)
    if chance.random() < 0.05:
        value += chance.choice(VALUES)
    if chance.random() < 0.05:
        value = f'"{value}"'
    return value


def _spoilt(chance: random.Random, name: str) -> str:
    return chance.choice(
        (
            f"export {name}",
            f"\ufeff{name}",
            name.lower(),
            f"{name} ",
            f"{name}\r",
            name.replace("_", "-"),
            name[:-1],
            f"{name}\udce9",
        )
    )
