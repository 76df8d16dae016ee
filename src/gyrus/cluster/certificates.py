"""The installation's own authority and the certificates that it signs. ``now`` is an argument.

Operator and gateways prove themselves to each other by these; no authority outside the installation counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_VALID = timedelta(days=3650)
VALID = timedelta(days=730)
RENEWAL = 1 / 3
"""The last part of a certificate's life, in which another replaces it. The rest of an authority's life is
longer than :data:`VALID`, so that no certificate ends because its authority does."""
OVERLAP = 1 / 10
"""The part of an authority's life for which its successor is trusted before it signs. All clients learn of
the successor in that time."""
OVERDUE = 1 / 4
"""The last part of a certificate's life, in which its renewal has evidently failed."""
CLOCK_SKEW = timedelta(hours=1)
"""Time by which other machines' clocks may be behind."""
_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


def new_authority(name: str, now: datetime) -> KeyPair:
    """Create an authority: a certificate that signs itself, and may sign others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begun(subject, subject, key, now, now + AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def issue(authority: KeyPair, hosts: Sequence[str], now: datetime) -> KeyPair:
    """Issue a certificate for server and client, for these names and addresses.

    It does not outlive its authority.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    certificate = (
        _begun(_subject(hosts[0]), issuer.subject, key, now, min(now + VALID, issuer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pem(certificate, key)


def is_authority(pair: KeyPair, now: datetime) -> bool:
    """Return whether this is a pair that can sign certificates now."""
    certificate = _parsed(pair)
    return certificate is not None and now < certificate.not_valid_after_utc


def needs_renewal(certificate: str, now: datetime) -> bool:
    """Return whether another one should replace this certificate, which may be damaged."""
    parsed = _certificate(certificate)
    return parsed is None or now >= _in_last_part(parsed, RENEWAL)


def renewal_is_overdue(certificate: str, now: datetime) -> bool:
    """Return whether another one should have replaced this certificate long ago."""
    parsed = _certificate(certificate)
    return parsed is None or now >= _in_last_part(parsed, OVERDUE)


def signs_now(successor: str, signer: str, now: datetime) -> bool:
    """Return whether an authority's successor has been trusted for long enough to sign in its place."""
    later, earlier = _certificate(successor), _certificate(signer)
    if later is None or earlier is None:
        return False
    life = earlier.not_valid_after_utc - earlier.not_valid_before_utc
    return now >= later.not_valid_before_utc + CLOCK_SKEW + life * OVERLAP


def is_usable(pair: KeyPair, trusted: Sequence[str], hosts: Sequence[str], now: datetime) -> bool:
    """Return whether a certificate is of a trusted authority, for these hosts, and not due for renewal."""
    certificate = _parsed(pair)
    if certificate is None or needs_renewal(pair.certificate, now):
        return False
    issuers = [issuer for each in trusted if (issuer := _certificate(each))]
    return any(_is_issued_by(certificate, issuer) for issuer in issuers) and _covers(certificate, hosts)


def in_bundle(bundle: str, now: datetime) -> list[str]:
    """Return the certificates of a bundle that have not ended, each as PEM. Damaged ones are left out."""
    parts = [f"{part}\n" for part in _PEM.findall(bundle)]
    return [part for part in parts if (end := end_of(part)) and now < end]


def belong_together(pair: KeyPair) -> bool:
    """Return whether the key is that of the certificate."""
    return _parsed(pair) is not None


def end_of(certificate: str) -> datetime | None:
    """Return the time at which a certificate ends. Returns None if it is not readable."""
    parsed = _certificate(certificate)
    return parsed.not_valid_after_utc if parsed else None


def _certificate(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None


def _parsed(pair: KeyPair) -> x509.Certificate | None:
    """Return the certificate if its key belongs to it."""
    certificate = _certificate(pair.certificate)
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), None)
    except (ValueError, TypeError):
        return None
    return certificate if certificate and certificate.public_key() == key.public_key() else None


def _in_last_part(certificate: x509.Certificate, part: float) -> datetime:
    """Return the time at which the last part of a certificate's life begins."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life * part


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _covers(certificate: x509.Certificate, hosts: Sequence[str]) -> bool:
    try:
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return {_general_name(host) for host in hosts} <= set(covered)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(encoding).decode(), private.decode())
