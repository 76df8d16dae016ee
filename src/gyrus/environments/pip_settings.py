"""pip's settings on this machine, translated for uv, which does not read them.

Later sources override earlier ones: pip's files (global, user, site, ``PIP_CONFIG_FILE``), then ``PIP_*``.
Within the files, ``[install]`` overrides ``[global]``. The user's settings of uv itself (``UV_*``) override
all of these.
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SECTIONS = ("global", "install")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipSettings:
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    no_index: bool = False
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    pre: bool = False
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None
    timeout: str | None = None
    """Seconds."""


def read_pip_settings(environ: Mapping[str, str], files: Sequence[Path] | None = None) -> PipSettings:
    """Read pip's settings.

    ``files``: in the order of precedence, the lowest first. None means the files that pip would read.
    """
    values = _values(environ, config_files(environ) if files is None else files)
    return PipSettings(
        index_url=values.get("index-url") or values.get("pypi-url"),
        extra_index_urls=_words(values.get("extra-index-url")),
        no_index=_truth(values.get("no-index")),
        find_links=_words(values.get("find-links")),
        trusted_hosts=_words(values.get("trusted-host")),
        constraints=_words(values.get("constraint")),
        pre=_truth(values.get("pre")),
        cert=values.get("cert") or None,
        client_cert=values.get("client-cert") or None,
        proxy=values.get("proxy") or None,
        timeout=values.get("timeout") or values.get("default-timeout") or None,
    )


def config_files(
    environ: Mapping[str, str], prefix: str = sys.prefix, platform: str = sys.platform
) -> list[Path]:
    """Return the files that pip reads, the one with the highest precedence last."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    files = [
        *_global_files(environ, platform),
        home / ".pip/pip.conf",
        _user_folder(environ, home, platform) / "pip.conf",
    ]
    files.append(Path(prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


DEFAULT_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
EXTRA_INDEX = ("UV_INDEX", "UV_EXTRA_INDEX_URL")
"""Variables of uv. If the user sets one of them, the setting of pip is not used."""


def uv_arguments(settings: PipSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options for ``uv pip install``."""
    return tuple(_arguments(settings, environ))


_NOT_FOR_UV = frozenset(
    {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT", "UV_SYSTEM_PYTHON", "UV_PYTHON"}
)


def uv_variables(settings: PipSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return all variables for uv: those of ``environ`` that suit a build, and pip's settings."""
    own = {name: value for name, value in environ.items() if name not in _NOT_FOR_UV}
    return own | uv_environment(settings, environ)


def uv_environment(settings: PipSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to uv's environment.

    Indexes are among them and not among the options: their URLs may hold a password, and every user of the
    machine can read command lines.
    """
    index = () if any(name in environ for name in DEFAULT_INDEX) else (settings.index_url or "",)
    extra = () if any(name in environ for name in EXTRA_INDEX) else settings.extra_index_urls
    wanted = {
        "UV_DEFAULT_INDEX": " ".join(index),
        "UV_INDEX": " ".join(extra),
        "SSL_CERT_FILE": settings.cert,
        "SSL_CLIENT_CERT": settings.client_cert,
        "ALL_PROXY": settings.proxy,
        "UV_HTTP_TIMEOUT": settings.timeout,
    }
    return {name: value for name, value in wanted.items() if value and name not in environ}


def _arguments(settings: PipSettings, environ: Mapping[str, str]) -> Iterator[str]:
    def free(*names: str) -> bool:
        return not any(name in environ for name in names)

    if settings.extra_index_urls and free(*EXTRA_INDEX, "UV_INDEX_STRATEGY"):
        yield from ("--index-strategy", "unsafe-best-match")  # as pip does: the best version of all indexes
    if settings.no_index:
        yield "--no-index"
    if free("UV_FIND_LINKS"):
        for place in settings.find_links:
            yield from ("--find-links", place)
    if free("UV_CONSTRAINT"):
        for file in settings.constraints:
            yield from ("--constraints", file)
    if free("UV_INSECURE_HOST"):
        for host in settings.trusted_hosts:
            yield from ("--allow-insecure-host", host)
    if settings.pre and free("UV_PRERELEASE"):
        yield from ("--prerelease", "allow")


def _values(environ: Mapping[str, str], files: Sequence[Path]) -> dict[str, str]:
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for file in files:
        for section, values in _read(file).items():
            sections[section] |= values
    variables = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return sections["global"] | sections["install"] | variables


def _read(file: Path) -> dict[str, dict[str, str]]:
    """Return a file's settings by section. An unreadable file has none: pip itself reports its fault."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    return {
        section: {key.replace("_", "-"): value for key, value in parser.items(section)}
        for section in _SECTIONS
        if parser.has_section(section)
    }


def _global_files(environ: Mapping[str, str], platform: str) -> list[Path]:
    if platform == "darwin":
        return [Path("/Library/Application Support/pip/pip.conf")]
    folders = [f for f in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep) if f]
    return [*(Path(folder) / "pip/pip.conf" for folder in folders), Path("/etc/pip.conf")]


def _user_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    mac = home / "Library/Application Support/pip"
    if platform == "darwin" and mac.is_dir():
        return mac
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip"


def _words(value: str | None) -> tuple[str, ...]:
    """Split a value at white space, as pip does. A quoted path may hold some."""
    if not value:
        return ()
    try:
        return tuple(shlex.split(value))
    except ValueError:
        return tuple(value.split())


def _truth(value: str | None) -> bool:
    return (value or "").strip().lower() in {"1", "true", "yes", "on", "t", "y"}
