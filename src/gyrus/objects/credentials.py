"""Endpoint, region and credentials of S3, from the environment variables and the files of AWS's tools.

Without keys in either, obstore asks the services that give credentials to machines and pods.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Config

FIRST_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """The access to S3."""

    region: str = FIRST_REGION
    endpoint: str = ""
    """URL of a store that speaks like S3; "" for AWS."""
    key: str = ""
    """The id of the access key; "" to ask the services of machines and pods."""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """The session token of temporary credentials."""

    def settings(self) -> S3Config:
        """Return obstore's settings."""
        settings: S3Config = {"region": self.region}
        if self.endpoint:
            settings |= {"endpoint": self.endpoint, "virtual_hosted_style_request": False}
        else:
            settings |= {"virtual_hosted_style_request": True}
        if self.key:
            settings |= {"access_key_id": self.key, "secret_access_key": self.secret}
        if self.token:
            settings |= {"session_token": self.token}
        return settings


def read_aws_access(environ: Mapping[str, str]) -> AwsAccess:
    """Read the variables, and the files that they name. Blocks for the files."""
    home = Path(environ.get("HOME", "/"))
    profile = environ.get("AWS_PROFILE", "default")
    config = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws/config")
    settings = _section(config, profile if profile == "default" else f"profile {profile}")
    keys = _section(Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"), profile)
    given = {name.lower(): value for name, value in environ.items() if name.startswith("AWS_") and value}
    filed = settings | keys
    source = given if "aws_access_key_id" in given else filed
    region = given.get("aws_region") or given.get("aws_default_region") or filed.get("region")
    endpoint = given.get("aws_endpoint_url_s3") or given.get("aws_endpoint_url") or filed.get("endpoint_url")
    return AwsAccess(
        region=region or FIRST_REGION,
        endpoint=(endpoint or "").rstrip("/"),
        key=source.get("aws_access_key_id", ""),
        secret=source.get("aws_secret_access_key", ""),
        token=source.get("aws_session_token", ""),
    )


def _section(file: Path, name: str) -> dict[str, str]:
    """Return the settings of a profile. Empty if there are none."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(file)
        return dict(parser.items(name)) if parser.has_section(name) else {}
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
