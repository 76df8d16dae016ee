"""Models of this machine, for operators of tests."""

from __future__ import annotations

from functools import partial

from gyrus.objects.models import resolve_models
from gyrus.objects.opening import open_objects

local_models = partial(resolve_models, open_store=open_objects)
