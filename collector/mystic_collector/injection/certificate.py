"""The webhook's certificate: made at start, known to nobody but this process and the API server that is told of it."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate, its own authority.

    Attributes:
        pem: the certificate; what the API server is told to trust.
        until: when it ends.
        secret: its private key, PEM.
    """

    pem: bytes
    until: datetime
    secret: bytes = field(repr=False)

    def load(self, context: ssl.SSLContext) -> None:
        """Use it from the next handshake on. ssl reads keys from files only: there is one for a moment, ours alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "webhook.pem"
            path.touch(mode=0o600)
            path.write_bytes(self.secret + self.pem)
            context.load_cert_chain(path)


def certificate(names: list[str], now: datetime | None = None) -> Certificate:
    """Make a certificate for the DNS names by which the API server calls the webhook.

    Args:
        names: the first becomes the common name.
        now: start of its validity; default: the present.
    """
    begin = (now or datetime.now(UTC)) - timedelta(minutes=5)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # Told apart by their keys where two of the same name are trusted, as around a renewal.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(made.public_bytes(serialization.Encoding.PEM), begin + VALID, secret)
