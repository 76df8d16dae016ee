"""The client against a server with prepared answers, without TLS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gyrus.contract.pods import DIGEST_HEADER
from gyrus.contract.replica import Reason
from gyrus.pods.failure import FilesUnreachable, PodFailed
from gyrus.pods.files_client import FilesClient, TemporaryFailure
from gyrus.pods.order import FilesAccess
from support.servers import running

CONTENT = b"content" * 1000


@dataclass
class Answer:
    status: int = 200
    body: bytes = CONTENT
    digest: str = hashlib.sha256(CONTENT).hexdigest()
    missing: int = 0
    """Bytes at the end that are announced but never sent."""


@dataclass
class Server:
    url: str = ""
    answers: list[Answer] = field(default_factory=list[Answer])
    """Answers to the next requests; the last one is repeated."""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list[tuple[str, str, bytes]])
    tokens: list[str | None] = field(default_factory=list[str | None])
    waited: list[float] = field(default_factory=list[float])

    def client(self, patience: float = 60.0) -> FilesClient:
        """A client whose pauses pass at once."""
        access = FilesAccess(url=self.url, pod="a-1-abcde", secret="s", ca="")
        return FilesClient(
            access, patience=patience, sleep=self.waited.append, monotonic=lambda: sum(self.waited)
        )


@pytest.fixture
def server() -> Iterator[Server]:
    prepared = Server(answers=[Answer()])

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            prepared.requests.append((self.command, self.path, body))
            prepared.tokens.append(self.headers.get("authorization"))
            answer = prepared.answers.pop(0) if len(prepared.answers) > 1 else prepared.answers[0]
            self.send_response(answer.status)
            self.send_header(DIGEST_HEADER, answer.digest)
            self.send_header("content-length", str(len(answer.body) + answer.missing))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler), "files server") as port:
        prepared.url = f"http://127.0.0.1:{port}"
        yield prepared


def read(client: FilesClient) -> bytes:
    return client.download("/packages/p", lambda content: content.read())


def test_a_pod_proves_itself(server: Server) -> None:
    assert read(server.client()) == CONTENT
    assert server.tokens == ["Bearer a-1-abcde.s"]


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=503, body=b""),
        Answer(status=429, body=b""),
        Answer(body=CONTENT[:-10], missing=10),
        Answer(body=b"damaged" * 1000),
    ],
    ids=["refused", "too many", "cut off", "damaged"],
)
def test_it_tries_again_after_a_passing_fault(server: Server, fault: Answer) -> None:
    server.answers = [fault, fault, Answer()]
    assert read(server.client()) == CONTENT
    assert len(server.waited) == 2


def test_a_reader_that_fails_on_damaged_content_reads_again(server: Server) -> None:
    def check(content: bytes) -> bytes:
        if content != CONTENT:
            raise PodFailed(Reason.PACKAGE, "unreadable")
        return content

    server.answers = [Answer(body=b"damaged" * 1000), Answer()]
    assert server.client().download("/a", lambda content: check(content.read())) == CONTENT
    server.answers = [Answer(body=b"other", digest=hashlib.sha256(b"other").hexdigest())]
    with pytest.raises(PodFailed, match="unreadable"):
        server.client().download("/a", lambda content: check(content.read()))


def test_it_gives_up_in_time_with_the_cause(server: Server) -> None:
    server.answers = [Answer(status=503, body=b'{"detail": "The disk is full."}')]
    with pytest.raises(FilesUnreachable, match=f"at {server.url} failed: The disk is full"):
        read(server.client(patience=20.0))
    assert 10 < sum(server.waited) <= 20


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    server.answers = [Answer(status=status, body=b'{"detail": "It is not here."}')]
    with pytest.raises(PodFailed, match=r"It is not here\.") as failed:
        read(server.client())
    assert not isinstance(failed.value, FilesUnreachable)
    assert server.waited == []


def test_a_wrong_secret_is_named_even_without_a_body(server: Server) -> None:
    server.answers = [Answer(status=401)]
    with pytest.raises(PodFailed, match="does not know the secret of the pod a-1-abcde"):
        server.client().has("/environments/e")


def test_an_upload_is_sent_whole_each_time(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    server.answers = [Answer(status=500, body=b""), Answer(status=201, body=b"")]
    server.client().upload("/environments/e", tmp_path / "file")
    assert server.requests == [("PUT", "/environments/e", CONTENT)] * 2


def test_it_asks_what_is_there(server: Server) -> None:
    assert server.client().has("/environments/e")
    server.answers = [Answer(status=404)]
    assert not server.client().has("/environments/e")


def test_progress_is_sent_once(server: Server) -> None:
    server.answers = [Answer(status=503, body=b"")]
    report: Callable[[], None] = lambda: server.client().post_once("/progress", "resolving…")  # noqa: E731
    with pytest.raises(TemporaryFailure):
        report()
    assert server.requests == [("POST", "/progress", "resolving…".encode())]
