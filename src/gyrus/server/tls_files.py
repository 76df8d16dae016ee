"""The certificate and the key of a server, from files that are replaced while it runs."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

TlsSighting = tuple[tuple[int, int, int], ...]
"""Device, inode and time of change of each file."""


class ServerCertificate:
    """The TLS settings of a server. Each new connection gets the certificate that is in the files then."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files. Raises OSError if they cannot be used; ssl.SSLError is one."""
        self._files = (certificate, key)
        self._seen = self._look()
        self._context = self._read()

    def __call__(self) -> ssl.SSLContext:
        """Return the settings of the present files. Those of the former ones, if these cannot be used."""
        try:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen  # also if they cannot be used: the next change is the next try
                self._context = self._read()
                log.info("The certificate %s has been replaced.", self._files[0])
        except OSError as error:
            log.error("The certificate %s cannot be used, so the former one stays: %s", self._files[0], error)
        return self._context

    def _look(self) -> TlsSighting:
        found = [os.stat(file) for file in self._files]
        return tuple((each.st_dev, each.st_ino, each.st_mtime_ns) for each in found)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        return context
