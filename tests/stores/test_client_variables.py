"""Variables that a client would fail on with an error of its own are refused by name, before it is asked."""

from pathlib import Path

import certifi
import httpx
import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import open_store
from grpo_job.stores.client_variables import CHECKS, faults

TOKEN = "hf_abcdefghijkl"
NO_HOME = {"HF_HOME": "/nonexistent"}  # nor the developer's own token


def fault_of(**variables: str) -> str:
    found = faults({**NO_HOME, **variables})
    assert len(found) < 2
    return found[0] if found else ""


ENTRIES = [
    "::1", "[::1]", "fd00::/8", "10.0.0.0/8", "localhost", ".svc", "*.svc:8080", "localhost:abc", "日本",
    "http://x", "a b", "127.0.0.1:80", "fe80::1%eth0", "[fd00::1]:80", "localhost,::1,[::1]", "*", "[::1],*",
]  # fmt: skip


@pytest.mark.parametrize("value", ENTRIES)
def test_no_proxy_is_refused_exactly_where_the_hubs_client_fails_on_it(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    monkeypatch.setenv("no_proxy", value)
    try:
        httpx.Client(verify=False).close()
        fails = False
    except Exception:
        fails = True
    said = fault_of(NO_PROXY=value)
    assert bool(said) == fails
    assert said.startswith("NO_PROXY: ") or not said


@pytest.mark.parametrize("value", ["proxy:3128", "http://u:secret@proxy:1", "http://[::1]:3128", "https://p"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_a_proxy_that_speaks_http_is_taken(name: str, value: str) -> None:
    assert fault_of(**{name: value}) == ""


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5://u:secret@proxy:1080", "SOCKS"),
        ("socks5h://u:secret@proxy", "SOCKS"),
        ("socks4://u:secret@proxy", "no proxy of the kind socks4"),
        ("ftp://u:secret@proxy", "no proxy of the kind ftp"),
        ("http://u:secret@proxy:abc", "no address of a proxy"),
        ("http://u:secret@", "names no host"),
        ("http://[::1", "no address of a proxy"),
        ("http://pro xy", "names no host"),
    ],
)
def test_another_proxy_is_refused_without_its_password(name: str, value: str, why: str) -> None:
    said = fault_of(**{name: value})
    assert said.startswith(f"{name}: ")
    assert why in said
    assert said.endswith("allowed: http://host:port or https://host:port, or unset it")
    assert "secret" not in said


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_cannot_be_read_are_refused(name: str, tmp_path: Path) -> None:
    assert fault_of(**{name: certifi.where()}) == ""
    assert "No such file or directory" in fault_of(**{name: "/nowhere/ca.pem"})
    for content in (b"", b"no certificate", "ä".encode("utf-16")):
        (tmp_path / "ca.pem").write_bytes(content)
        assert fault_of(**{name: str(tmp_path / "ca.pem")}).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["HF_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    "value", ["hub.example", "http://", "http://a:b:c", "http://[::1", "s3://x", "https://a b", "/x"]
)
def test_an_endpoint_that_is_no_address_is_refused(name: str, value: str) -> None:
    assert fault_of(**{name: value}).startswith(f"{name}: its value (not shown) is no address; allowed: http://")
    assert fault_of(**{name: "http://localhost:9000/x"}) == ""


CONTENTS = [
    (TOKEN.encode("utf-16"), "the encoding UTF-16"),
    (b"\xef\xbb\xbf" + TOKEN.encode(), "a byte-order mark"),
    (b"hf_\xe9", "a character that is in no token"),
    (b"my token\n", "more than one word"),
]


@pytest.mark.parametrize(("content", "why"), CONTENTS)
def test_a_token_file_that_holds_no_token_is_refused_wherever_it_is(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    for variables in ({"HF_TOKEN_PATH": str(tmp_path / "token")}, {"HF_HOME": str(tmp_path)}):
        said = fault_of(**variables)
        assert said.startswith(f"{next(iter(variables))}: {tmp_path / 'token'} ")
        assert why in said
        with pytest.raises(InvalidRun):
            open_store("hf://owner/name", environment=variables)
        assert fault_of(HF_TOKEN=TOKEN, **variables) == "", "then the file is not read"


def test_a_folder_for_a_token_file_is_refused(tmp_path: Path) -> None:
    assert "name the file itself" in fault_of(HF_TOKEN_PATH=str(tmp_path))


def test_what_the_system_forbids_to_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, whom nothing is forbidden."""
    (tmp_path / "token").write_text(TOKEN)

    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("grpo_job.stores.client_variables.content_of", forbidden)
    for name in ("HF_TOKEN_PATH", "AWS_CONFIG_FILE"):
        said = fault_of(**{name: str(tmp_path / "token")})
        assert said == (
            f"{name}: {tmp_path / 'token'} cannot be read (Permission denied): "
            "let the job's user read it, or name another file"
        )


@pytest.mark.parametrize("name", ["HF_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "TMPDIR"])
@pytest.mark.parametrize("value", ["/etc/passwd", "/etc/passwd/x", "~nosuchuser/x", "x" * 256])
def test_a_folder_that_cannot_be_one_is_refused(name: str, value: str) -> None:
    assert fault_of(**{name: value}).startswith(f"{name}: ")


@pytest.mark.parametrize("name", list(CHECKS))
def test_every_variable_is_checked_without_an_error_of_the_check(name: str) -> None:
    for value in ("x" * 5000, "/x" * 5000, "~nosuchuser", "\0", "\udce9", "//[", "http://" + "x" * 300, "²", "," * 99):
        assert all(fault.split(":")[0] == name for fault in faults({**NO_HOME, name: value}))


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize(("content", "why"), [*CONTENTS[:2], (b"\xe9", "bytes that are not UTF-8")])
def test_a_file_of_credentials_that_is_no_text_is_refused(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "aws").write_bytes(content)
    assert why in fault_of(**{name: str(tmp_path / "aws")})
    assert fault_of(**{name: str(tmp_path / "none")}) == "", "boto3 takes a missing file as empty"


@pytest.mark.parametrize("uri", ["hf://owner/name", "s3://bucket/runs"])
def test_a_store_on_the_network_is_not_opened_with_such_a_variable(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match="HTTPS_PROXY: a SOCKS proxy was given"):
        open_store(uri, environment={**NO_HOME, "HTTPS_PROXY": "socks5://proxy"})
    open_store(f"file://{tmp_path}", environment={"HTTPS_PROXY": "socks5://proxy"})
