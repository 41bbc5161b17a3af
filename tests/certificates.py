"""Certificates and keys that tests of TLS make for themselves."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(folder, name="server", common_name="localhost", issuer=None):
    """Write a certificate for localhost, signed by its own key or by an issuer's (certificate and key files)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signing_key = key
    if issuer is not None:
        signer = x509.load_pem_x509_certificate(issuer[0].read_bytes()).subject
        signing_key = serialization.load_pem_private_key(issuer[1].read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
    return paths
