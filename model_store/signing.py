"""Ed25519 signatures: a private key that signs releases, and the public keys that this machine trusts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


class VerificationError(ValueError):
    """A release is not what a trusted key has signed."""


class Keyring:
    """A folder with `signing.pem` (private, mode 0600) and `trusted/<fingerprint>.pem` (public)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def can_sign(self) -> bool:
        """Whether there is a private key; `sign` would make one, which only this machine trusts."""
        return (self.folder / "signing.pem").exists()

    def sign(self, data: bytes) -> bytes:
        """Sign data; the key is made on first use. Returns the contents of a signature file."""
        key = self._signing_key()
        signature = {"key": fingerprint(key.public_key()), "signature": base64.b64encode(key.sign(data)).decode()}
        return json.dumps(signature, indent=2).encode()

    def verify(self, data: bytes, signature_file: bytes, what: str) -> None:
        """Check data against its signature file; errors name `what` it is.

        Raises:
            VerificationError: unreadable signature, unknown key, or data that differs from what was signed.
        """
        try:
            signature = json.loads(signature_file)
            key_name, value = str(signature["key"]), base64.b64decode(signature["signature"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise VerificationError(f"{what}: its signature file is not readable") from None
        try:
            self._trusted_key(key_name, what).verify(value, data)
        except InvalidSignature:
            raise VerificationError(f"{what} was changed after it was signed by key {key_name}; restore it") from None

    def _trusted_key(self, name: str, what: str) -> Ed25519PublicKey:
        trusted = self.folder / "trusted"
        for path in sorted(trusted.glob("*.pem")):
            key = load_pem_public_key(path.read_bytes())
            if isinstance(key, Ed25519PublicKey) and fingerprint(key) == name:
                return key
        raise VerificationError(
            f"{what} is signed by key {name}, which is not trusted here; "
            f"if it should be, put the signer's public key into {trusted}"
        )

    def _signing_key(self) -> Ed25519PrivateKey:
        path = self.folder / "signing.pem"
        if not path.exists():
            self._make_key(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is no Ed25519 key; move it away to have a new one made")
        return key

    def _make_key(self, path: Path) -> None:
        key = Ed25519PrivateKey.generate()
        (self.folder / "trusted").mkdir(parents=True, exist_ok=True, mode=0o700)
        public = key.public_key()
        public_path = self.folder / "trusted" / f"{fingerprint(public)}.pem"
        public_path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        try:
            os.link(draft, path)  # fails where another process was first: its key is the one
        except FileExistsError:
            public_path.unlink()
        finally:
            draft.unlink()


def fingerprint(key: Ed25519PublicKey) -> str:
    """Name a public key: the first 16 hex digits of its sha256."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
