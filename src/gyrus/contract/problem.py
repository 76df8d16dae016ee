"""Problem documents (RFC 9457): the body of every error response of gyrus, on every port."""

from __future__ import annotations

from dataclasses import dataclass

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem. ``type`` is stable, so that clients can match it."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:gyrus:problem:{self.slug}"


UNKNOWN_API = ProblemType("unknown-api", 404, "No such API")
NOT_FOUND = ProblemType("not-found", 404, "Not found")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", 405, "Method not allowed")
UNKNOWN_HOST = ProblemType("unknown-host", 421, "The gateway does not serve this host")
ORIGIN_NOT_ALLOWED = ProblemType("origin-not-allowed", 403, "The page's origin may not call this API")
NO_REPLICA = ProblemType("no-replica", 503, "No replica is ready")
QUEUE_FULL = ProblemType("queue-full", 503, "The queue is full")
DRAINING = ProblemType("draining", 503, "The replica is stopping")
TIMEOUT = ProblemType("timeout", 504, "The request took too long")
BODIES_FULL = ProblemType("bodies-full", 503, "Too many bodies are under way")
BODY_TOO_LARGE = ProblemType("body-too-large", 413, "The request's body is too large")
HEADER_TOO_LARGE = ProblemType("header-too-large", 431, "The request's header is too large")
BODY_TIMEOUT = ProblemType("body-timeout", 408, "The request's body did not arrive in time")
BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be read")
INVALID_PAYLOAD = ProblemType("invalid-payload", 422, "The payload does not fit the handler")
UNSUPPORTED_MEDIA = ProblemType("unsupported-media-type", 415, "The body's type is not supported")
HANDLER_FAILED = ProblemType("handler-failed", 500, "The handler raised an exception")
BAD_ANSWER = ProblemType("bad-answer", 500, "The handler's answer cannot be sent")
POISON = ProblemType("poison", 502, "The request took down two workers")
UPSTREAM_FAILED = ProblemType("upstream-failed", 502, "The replica closed the connection")

UNAUTHORIZED = ProblemType("unauthorized", 401, "The token is missing or wrong")
REVOKED_TOKEN = ProblemType("revoked-token", 401, "The token was revoked")
READ_ONLY_TOKEN = ProblemType("read-only-token", 403, "The token may only read")
UNKNOWN_TOKEN = ProblemType("unknown-token", 404, "No such token")
FORBIDDEN = ProblemType("forbidden", 403, "The client may not do this")
INVALID_SPEC = ProblemType("invalid-spec", 422, "The specification is not valid")
UNKNOWN_REVISION = ProblemType("unknown-revision", 404, "No such revision")
UNKNOWN_PACKAGE = ProblemType("unknown-package", 409, "The package has not been uploaded")
DIGEST_MISMATCH = ProblemType("digest-mismatch", 422, "The upload does not match its digest")
PACKAGE_TOO_LARGE = ProblemType("package-too-large", 413, "The package is too large")
CONFLICT = ProblemType("conflict", 409, "The API is in a state that does not allow this")
STORAGE_FULL = ProblemType("storage-full", 507, "The disk is full")
LOG_ARCHIVE = ProblemType("log-archive", 503, "The log archive cannot be used now")
OBJECT_STORE = ProblemType("object-store", 503, "The object store cannot be used now")
STANDBY = ProblemType("standby", 503, "This operator does not lead")
INTERNAL = ProblemType("internal", 500, "The operator failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem document. ``detail`` names the thing, the cause and the remedy."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    """The request's id, as ``urn:gyrus:request:<id>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsProblem(Problem):
    """The document of INVALID_SPEC: ``detail`` has the same faults, one per line."""

    faults: tuple[str, ...]
