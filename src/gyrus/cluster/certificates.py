"""The installation's own authority and the certificates that it signs. ``now`` is an argument.

Operator and gateways prove themselves to each other by these; no authority outside the installation counts.
"""

from __future__ import annotations

import hashlib
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
AUTHORITY_RENEWAL = timedelta(days=800)
"""Time before the authority's end from which another replaces it: longer than a certificate is valid."""
VALID = timedelta(days=730)
RENEWAL = timedelta(days=90)
"""Time before a certificate's end from which another replaces it."""
CLOCK_SKEW = timedelta(hours=1)
"""Time by which other machines' clocks may be behind."""


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
        _begun(subject, subject, key, now, AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def issue(authority: KeyPair, hosts: Sequence[str], now: datetime) -> KeyPair:
    """Issue a certificate for server and client, for these names and addresses."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    certificate = (
        _begun(_subject(hosts[0]), issuer.subject, key, now, VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pem(certificate, key)


def is_usable_authority(pair: KeyPair, now: datetime) -> bool:
    """Return whether this is an authority that outlives every certificate that it signs now."""
    certificate = _parsed(pair)
    return certificate is not None and now < certificate.not_valid_after_utc - AUTHORITY_RENEWAL


def is_usable(pair: KeyPair, authority: KeyPair, hosts: Sequence[str], now: datetime) -> bool:
    """Return whether this certificate is signed by the authority, for these hosts, and valid for a while."""
    certificate, issuer = _parsed(pair), _parsed(authority)
    if certificate is None or issuer is None or now >= certificate.not_valid_after_utc - RENEWAL:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return {_general_name(host) for host in hosts} <= set(covered)


def end_of(certificate: str) -> datetime | None:
    """Return the time at which a certificate ends. Returns None if it is not readable."""
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    except ValueError:
        return None


def digest(certificate: str) -> str:
    """Return a short digest that differs between certificates."""
    return hashlib.sha256(certificate.encode()).hexdigest()[:16]


def _parsed(pair: KeyPair) -> x509.Certificate | None:
    """Return the certificate if its key belongs to it."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        key = serialization.load_pem_private_key(pair.key.encode(), None)
    except (ValueError, TypeError):
        return None
    return certificate if certificate.public_key() == key.public_key() else None


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    valid: timedelta,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + valid)
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
