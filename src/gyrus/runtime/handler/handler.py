"""An instance of the user's class, with the signatures of its methods."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gyrus.runtime.handler.payloads import PayloadReader, payload_hint, payload_reader, unchecked
from gyrus.runtime.handler.signature import POST_PREDICT, PREDICT, Signature, shown_signature_of

log = logging.getLogger("gyrus")


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


def handler_of(instance: Any, *, batched: bool) -> LoadedHandler:
    """Inspect the methods of an instance. Raises LoadFailed."""
    signature = shown_signature_of(instance.predict, PREDICT)
    after = getattr(instance, "post_predict", None)
    payload = payload_hint(signature, batched=batched)
    if reason := unchecked(signature, payload):
        log.warning("payloads are not checked: %s", reason)
    return LoadedHandler(
        instance=instance,
        predict=instance.predict,
        signature=signature,
        read_payload=payload_reader(payload),
        payload=payload,
        batched=batched,
        post_predict=_post_predict(after) if callable(after) else None,
    )


def _post_predict(method: Callable[..., Any]) -> PostPredict:
    return PostPredict(method, shown_signature_of(method, POST_PREDICT))
