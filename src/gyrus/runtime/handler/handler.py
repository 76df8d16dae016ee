"""An instance of the user's class, with the signatures of its methods."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from gyrus.runtime.handler.payloads import PayloadReader, payload_hint, payload_reader, unchecked
from gyrus.runtime.handler.signature import (
    INIT,
    POST_PREDICT,
    PREDICT,
    Signature,
    is_coroutine,
    shown_signature_of,
    signature_of,
)
from gyrus.runtime.telemetry.runtime_log import runtime_log


@dataclass(frozen=True, slots=True)
class PostPredict:
    """The method that runs after the answer has been sent."""

    method: Callable[..., Any]
    signature: Signature


@dataclass(frozen=True, slots=True)
class LoadedHandler:
    """The loaded handler that serves requests."""

    instance: object
    predict: Callable[..., Any]
    signature: Signature
    read_payload: PayloadReader
    payload: Any
    """The annotation of one payload; Any if there is none."""
    batched: bool
    """True if ``predict`` takes lists, with one entry per request, and returns a list of answers."""
    post_predict: PostPredict | None = None
    setup: Callable[[], Awaitable[Any]] | None = None
    """An async method that runs on the event loop before the first request."""
    teardown: Callable[[], Any] | None = None
    """A method that runs after the last request; it may be async."""

    @property
    def is_async(self) -> bool:
        return self.signature.is_async

    @property
    def answers_get(self) -> bool:
        """True if a request without a body makes sense to the handler."""
        return not self.signature.wants("payload") or "payload" in self.signature.optional

    @property
    def answer(self) -> Any:
        """The annotation of one answer; Any if there is none."""
        hint = self.signature.hints.get("return", Any)
        return next(iter(typing.get_args(hint)), Any) if self.batched else hint

    @property
    def description(self) -> str:
        """The docstring of ``predict`` or of the class; empty if there is none."""
        return inspect.getdoc(self.predict) or inspect.getdoc(type(self.instance)) or ""


def handler_of(instance: Any, *, batched: bool, given: Mapping[str, Any] | None = None) -> LoadedHandler:
    """Inspect the methods of an instance. Raises LoadFailed.

    ``given``: the arguments that an async ``setup`` can take, by name.
    """
    signature = shown_signature_of(instance.predict, PREDICT)
    after = getattr(instance, "post_predict", None)
    payload = payload_hint(signature, batched=batched)
    if reason := unchecked(signature, payload):
        runtime_log.warning(f"payloads are not checked: {reason}")
    return LoadedHandler(
        instance=instance,
        predict=instance.predict,
        signature=signature,
        read_payload=payload_reader(payload),
        payload=payload,
        batched=batched,
        post_predict=PostPredict(after, shown_signature_of(after, POST_PREDICT)) if callable(after) else None,
        setup=_setup(instance, given or {"config": {}, "models": None}),
        teardown=_teardown(instance),
    )


def _setup(instance: Any, given: Mapping[str, Any]) -> Callable[[], Awaitable[Any]] | None:
    """Return the handler's async ``setup``. Returns None if there is none.

    A ``setup`` that is not async is a method of the handler's own, which its ``__init__`` may call.
    """
    method = cast("Callable[..., Awaitable[Any]] | None", getattr(instance, "setup", None))
    if method is None or not is_coroutine(method):
        return None
    arguments = signature_of(method, INIT).given(given)
    return partial(method, **arguments) if arguments else method


def _teardown(instance: Any) -> Callable[[], Any] | None:
    method = getattr(instance, "teardown", None)
    if not callable(method):
        return None
    signature_of(method, ())
    return method
