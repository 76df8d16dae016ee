"""An instance of the user's class, with all that is known of its methods."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gyrus.runtime.handler.payloads import PayloadReader, payload_hint, payload_reader
from gyrus.runtime.handler.signature import POST_PREDICT, PREDICT, Signature, signature_of


@dataclass(frozen=True, slots=True)
class PostPredict:
    method: Callable[..., Any]
    signature: Signature


@dataclass(frozen=True, slots=True)
class LoadedHandler:
    """What serves requests."""

    instance: object
    predict: Callable[..., Any]
    signature: Signature
    read_payload: PayloadReader
    payload: Any
    """The annotation of one payload; Any where there is none."""
    batched: bool
    """``predict`` takes lists of everything, one entry a request, and returns a list of answers."""
    post_predict: PostPredict | None = None

    @property
    def is_async(self) -> bool:
        return self.signature.is_async

    @property
    def answers_get(self) -> bool:
        """A request without a body makes sense to it."""
        return not self.signature.wants("payload") or "payload" in self.signature.optional

    @property
    def answer(self) -> Any:
        """The annotation of one answer; Any where there is none."""
        hint = self.signature.hints.get("return", Any)
        return next(iter(typing.get_args(hint)), Any) if self.batched else hint

    @property
    def description(self) -> str:
        """What its author wrote about it."""
        return inspect.getdoc(self.predict) or inspect.getdoc(type(self.instance)) or ""


def handler_of(instance: Any, *, batched: bool) -> LoadedHandler:
    """Raises LoadFailed."""
    signature = signature_of(instance.predict, PREDICT)
    after = getattr(instance, "post_predict", None)
    payload = payload_hint(signature, batched=batched)
    return LoadedHandler(
        instance=instance,
        predict=instance.predict,
        signature=signature,
        read_payload=payload_reader(payload),
        payload=payload,
        batched=batched,
        post_predict=PostPredict(after, signature_of(after, POST_PREDICT)) if callable(after) else None,
    )
