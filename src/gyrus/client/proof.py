"""Causes for which a server did not prove itself, in words, with what to do."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from urllib3.util.ssl_match_hostname import CertificateError

OPERATOR_NAME = "gyrus-operator"
"""The name that each certificate of an operator on Kubernetes has."""

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
"""Codes of OpenSSL."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """The reason why a certificate was not accepted."""

    cause: str
    """The end of a sentence about the server."""
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The certificates that a client accepts from an operator: at most one of the files is given."""

    certificate: Path | None = None
    authority: Path | None = None
    remedy: str
    """The remedy if the server has another certificate, or one of another authority."""

    def operator_unproven(self, fault: BaseException, now: datetime) -> Unproven:
        """Explain why this was not the operator. ``fault``: the error of its TLS handshake."""
        cause = certificate_fault(fault)
        if self.certificate:
            return Unproven(
                f"its certificate is not the one in {self.certificate}",
                self.remedy,
            )
        code = getattr(cause, "verify_code", None)
        if code in (_EXPIRED, _NOT_YET_VALID):
            renew = "Renew it with: gyrus cluster install" if self.authority else "Renew it"
            return Unproven(_time_words(code), f"{renew}, unless {_clock(now)}.")
        if self.authority is None:
            return _by_system(cause)
        if _is_other_name(cause):
            return Unproven(
                f"its certificate is of the installation, but not for {OPERATOR_NAME}",
                "Check the URL: another part of the installation answers at it.",
            )
        return Unproven(f"its certificate is not of the authority in {self.authority}", self.remedy)


def endpoint_unproven(fault: BaseException, authority: Path | None, now: datetime) -> Unproven:
    """Explain why the server of an endpoint did not prove itself."""
    cause = certificate_fault(fault)
    code = getattr(cause, "verify_code", None)
    if code in (_EXPIRED, _NOT_YET_VALID):
        return Unproven(
            _time_words(code),
            f"Renew the Secret of gateway.tls, unless {_clock(now)}.",
        )
    if _is_other_name(cause):
        return Unproven(
            "its certificate is for another name",
            "Set gateway.url in the values file to a name of the certificate.",
        )
    place = f", nor of the authority in {authority}" if authority else ""
    return Unproven(
        f"its certificate is of no authority that this system trusts{place}",
        "Name the file of its authority with: gyrus env add NAME --endpoint-authority FILE, or SSL_CERT_FILE",
    )


def certificate_fault(fault: BaseException) -> BaseException | None:
    """Return the fault of a certificate within an error. Returns None if there is none."""
    found: BaseException | None = fault
    while found is not None:
        if isinstance(found, (ssl.SSLCertVerificationError, CertificateError)):
            return found
        inner = next((each for each in found.args if isinstance(each, BaseException)), None)
        found = inner or found.__cause__
    return None


def _is_other_name(cause: BaseException | None) -> bool:
    code = getattr(cause, "verify_code", None)
    return isinstance(cause, CertificateError) or code in (_OTHER_HOST, _OTHER_ADDRESS)


def _time_words(code: int | None) -> str:
    return "its certificate has expired" if code == _EXPIRED else "its certificate is not valid yet"


def _clock(now: datetime) -> str:
    return f"this machine's clock is wrong ({now.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def _by_system(cause: BaseException | None) -> Unproven:
    if _is_other_name(cause):
        return Unproven("its certificate is for another name", "Use a name of the certificate in the URL.")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unproven(
            "its certificate is of no authority that this system trusts",
            "Name its certificate with: gyrus env add NAME --certificate FILE, or its authority with: "
            "--authority FILE",
        )
    return Unproven("it does not speak TLS as expected", "Check the URL.")
