"""The certificate that proves the operator's TCP port to its clients.

It signs itself, and clients trust exactly this one (``gyrus env add --certificate``). Its key is in the home
alone. So another process that listens on the port gets no token.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gyrus.contract.home import Home
from gyrus.operator.errors import StartError
from gyrus.operator.secret_file import write_secret
from gyrus.server.tls_files import ServerCertificate

if TYPE_CHECKING:
    from cryptography.x509 import SubjectAlternativeName

VALID = timedelta(days=3650)
RENEWAL = timedelta(days=30)
"""Time before its end from which a start replaces the certificate."""
NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


def tls_of(home: Home) -> ServerCertificate:
    """Return the TLS settings of the operator's port. The first start creates the certificate.

    Raises StartError if its files cannot be used.
    """
    try:
        if not _is_usable(home):
            _create(home)
        return ServerCertificate(home.certificate, home.certificate_key)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(
            f"The certificate of the operator's port cannot be used: {error}. Remove {home.certificate} and "
            f"{home.certificate_key}, so that the next start creates others."
        ) from error


def _is_usable(home: Home) -> bool:
    """Return whether both files are there and valid for a while."""
    from cryptography import x509

    if not (home.certificate.exists() and home.certificate_key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(home.certificate.read_bytes())
    except ValueError:  # half a file, after a failure of the machine
        return False
    return datetime.now(UTC) < certificate.not_valid_after_utc - RENEWAL


def _create(home: Home) -> None:
    """Create the key and its certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gyrus operator")])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # other machines' clocks may be behind
        .not_valid_after(now + VALID)
        .add_extension(_names(), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(home.certificate_key, secret)
    write_secret(home.certificate, certificate.public_bytes(pem))


def _names() -> SubjectAlternativeName:
    from cryptography import x509

    return x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in NAMES),
            *(x509.IPAddress(ip_address(address)) for address in ADDRESSES),
        ]
    )
