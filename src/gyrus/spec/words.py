"""Texts with rules of their own: names, paths, variables.

An invalid value raises ValueError. Its text continues a sentence that begins with the value, as in
``quantities``.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, JsonValue

from gyrus.objects.location import parse_location

LONGEST_NAME = 42
LONGEST_ENDPOINT = 200
RESERVED_ENDPOINTS = frozenset({"healthz", "readyz", "metrics"})
"""Paths that the gateway or a replica answers itself. No API's path may begin with one."""
RESERVED_VARIABLES = "GYRUS_"
"""Prefix of the variables that the platform sets for a replica."""

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(
    r"[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LONGEST_IMAGE = 500


def check_name(value: str) -> str:
    if len(value) > LONGEST_NAME:
        raise ValueError(f"has {len(value)} characters; at most {LONGEST_NAME} are allowed")
    if not _NAME.fullmatch(value):
        raise ValueError(f"is not a name: small letters, digits and hyphens, beginning with a letter and "
                         f"not ending with a hyphen; write for example {suggest_name(value)}")  # fmt: skip
    return value


def suggest_name(value: str) -> str:
    """Return the valid name nearest to ``value``."""
    plain = re.sub(r"[^a-z0-9]+", "-", value.lower())
    return re.sub(r"^[^a-z]+", "", plain)[:LONGEST_NAME].strip("-") or "my-api"


def check_endpoint(value: str) -> str:
    path = value.removeprefix("/").removesuffix("/")
    if len(path) > LONGEST_ENDPOINT:
        raise ValueError(f"has {len(path)} characters; at most {LONGEST_ENDPOINT} are allowed")
    if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise ValueError("is not an endpoint: small letters, digits and hyphens, separated by single "
                         "slashes; write for example iris or models/iris")  # fmt: skip
    if path.split("/")[0] in RESERVED_ENDPOINTS:
        raise ValueError(
            f"is reserved; an endpoint cannot begin with {', '.join(sorted(RESERVED_ENDPOINTS))}"
        )
    return value


def check_variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("is not a variable's name; use letters, digits and _, and no digit first")
    if value.startswith(RESERVED_VARIABLES):
        raise ValueError(f"is reserved for the platform; choose a name that does not begin with "
                         f"{RESERVED_VARIABLES}")  # fmt: skip
    return value


def check_text(value: str) -> str:
    """Check a text that is passed to another process."""
    if "\0" in value:
        raise ValueError("holds a NUL character; remove it")
    return value


def check_file(value: str) -> str:
    """Check the path of a file of the project, relative to its folder."""
    path = PurePosixPath(value)
    if not value.strip() or path.name in {"", "."} or "\0" in value:
        raise ValueError("names no file; write a path relative to the folder of the YAML file")
    if path.is_absolute() or PureWindowsPath(value).drive or value.startswith("~"):
        raise ValueError("is not relative; write a path relative to the folder of the YAML file")
    if "\\" in value:
        raise ValueError(f"has a backslash; write {value.replace(chr(92), '/')}")
    if ".." in path.parts:
        raise ValueError("leaves the project's folder; move the file into it, and name it without ..")
    return value


def check_python_file(value: str) -> str:
    if not check_file(value).endswith(".py"):
        raise ValueError("is not a Python file; name one that ends with .py")
    return value


def check_route(value: str) -> str:
    """Check a path of a replica, such as the one of its readiness check."""
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError("is not a path of the server; write for example /health")
    return value


def check_image(value: str) -> str:
    """Check the name of a container image."""
    if len(value) > LONGEST_IMAGE or not _IMAGE.fullmatch(value):
        raise ValueError("is not the name of an image; write for example registry.example.com/iris:1")
    return value


def check_label_name(value: str) -> str:
    """Check a name that Kubernetes allows for a container or a node group."""
    if not _LABEL.fullmatch(value):
        raise ValueError("is not a name: small letters, digits and hyphens, at most 63; "
                         f"write for example {suggest_name(value)}")  # fmt: skip
    return value


def check_label_key(value: str) -> str:
    if not _LABEL_KEY.fullmatch(value):
        raise ValueError("is not a label's key; write for example disktype or example.com/disktype")
    return value


def check_label_value(value: str) -> str:
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError("is not a label's value: letters, digits, - _ and ., at most 63; "
                         "write for example ssd")  # fmt: skip
    return value


def check_cron(value: str) -> str:
    """Check a cron line of five fields, as Debian's cron reads it."""
    from cronsim import CronSim, CronSimError  # imported late: only a few specifications have a schedule

    if len(value.split()) != 5:
        raise ValueError("is not a cron line of five fields; write for example 0 8 * * mon-fri")
    try:
        CronSim(value, datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(
            f"is not a cron line ({str(error).lower()}); write for example 0 8 * * mon-fri"
        ) from error
    return value


def check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is not a time zone; write for example Europe/Berlin or UTC") from error
    return value


def check_models(value: str) -> str:
    """Check the place of models: a URL of objects, or a folder or file of this machine."""
    if "://" in value:
        parse_location(value)
    elif not value.strip() or value.startswith("~"):
        raise ValueError("is not a place of models; write for example s3://my-bucket/models/iris or ./models")
    return value


def check_finite(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Check that a configuration has only values that JSON has."""
    try:
        json.dumps(config, allow_nan=False)
    except ValueError as error:
        raise ValueError("holds a number that JSON does not have; quote it") from error
    return config


Name = Annotated[
    str,
    AfterValidator(check_name),
    Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$", "maxLength": LONGEST_NAME}),
]
Endpoint = Annotated[str, AfterValidator(check_endpoint)]
Variable = Annotated[str, AfterValidator(check_variable)]
Text = Annotated[str, AfterValidator(check_text)]
ProjectFile = Annotated[str, AfterValidator(check_file)]
PythonFile = Annotated[str, AfterValidator(check_python_file)]
RoutePath = Annotated[str, AfterValidator(check_route)]
ImageName = Annotated[str, AfterValidator(check_image)]
LabelName = Annotated[str, AfterValidator(check_label_name)]
LabelKey = Annotated[str, AfterValidator(check_label_key)]
LabelValue = Annotated[str, AfterValidator(check_label_value)]
ModelsPlace = Annotated[str, AfterValidator(check_models)]
Config = Annotated[dict[str, JsonValue], AfterValidator(check_finite)]
CronLine = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(check_time_zone)]
