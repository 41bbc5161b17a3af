"""Who may call: a key or a certificate is asked for before anything of a request's contents is read."""

from __future__ import annotations

from typing import NamedTuple

from services.gateway.audit import Audit
from services.gateway.caller import Caller, KnownCaller, name_caller
from services.gateway.errors import GatewayError, PermissionDeniedError, UnauthenticatedError
from services.gateway.keys import ApiKey, KeyRing, Verb

# What a certificate opens without a key: its issuer was chosen for this server, but nobody said what else it may do.
CERTIFICATE_VERBS = frozenset((Verb.INFER, Verb.READ))
_BEARER = "bearer "


class Operation(NamedTuple):
    """What a caller wants; `model` is '' where it is unknown yet, or where all are meant."""

    verb: Verb
    model: str
    name: str


class Guard:
    """Lets callers in or raises; every refusal is in the audit log."""

    def __init__(self, keys: KeyRing | None, audit: Audit | None = None) -> None:
        """Without keys only certificates let anybody in."""
        self._keys = keys
        self._audit = audit or Audit()

    def admit(
        self, operation: Operation, authorization: str, api_key: str, *, peer: str, certificate: str, request_id: str
    ) -> ApiKey | None:
        """Find out who calls by the headers `authorization` and `x-api-key`, and whether it may.

        Returns the key, or None for one who has a certificate only.

        Raises:
            UnauthenticatedError: no key, an unknown one, or one that has expired.
            PermissionDeniedError: the key does not open this.
        """
        token = api_key
        if authorization[: len(_BEARER)].lower() == _BEARER:
            token = authorization[len(_BEARER) :].strip()
        key = None
        if token and self._keys is not None:
            key = self._keys.find(token)
        caller = KnownCaller(peer, {}, key, certificate)
        if key is None:
            if token or not certificate:
                raise self._refuse(caller, operation, UnauthenticatedError(self._explain(token)), request_id)
            verbs = CERTIFICATE_VERBS
        elif key.has_expired:
            text = f"the key {key.name} ({key.id}) expired on {key.expires:%Y-%m-%d %H:%M} UTC; have a new one made"
            raise self._refuse(caller, operation, UnauthenticatedError(text), request_id)
        else:
            verbs = frozenset(key.verbs)
        if operation.verb not in verbs:
            text = (
                f"{name_caller(caller)} may {' and '.join(sorted(verbs))} here; this takes a key for {operation.verb}"
            )
            raise self._refuse(caller, operation, PermissionDeniedError(text), request_id)
        if operation.model:
            self.check_model(caller, operation, request_id)
        return key

    def check_model(self, caller: Caller, operation: Operation, request_id: str) -> None:
        """Refuse a model that the caller's key is not for, before it shows whether there is such a model.

        Raises:
            PermissionDeniedError: names those that it is for.
        """
        key = caller.credential
        if key is None or key.opens(operation.model):
            return
        wanted = f"not for {operation.model!r}" if operation.model else "not for all at once"
        text = f"the key {key.name} ({key.id}) is for {', '.join(key.models)}, {wanted}"
        raise self._refuse(caller, operation, PermissionDeniedError(text), request_id)

    def _explain(self, token: str) -> str:
        if token and self._keys is not None:
            return "the key is not known here: it was mistyped or revoked; have a new one made"
        if self._keys is None:
            return "this server asks for a client certificate; call with one that its --tls-client-ca has signed"
        return (
            "this server asks who calls: send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'; its operator "
            "makes keys by `serve keys add`"
        )

    def _refuse(self, caller: Caller, operation: Operation, error: GatewayError, request_id: str) -> GatewayError:
        key = caller.credential
        what = f"{operation.verb} {operation.name} {operation.model}".rstrip()
        self._audit.record(
            name_caller(caller),
            what,
            str(error),
            key="" if key is None else key.id,
            peer=caller.peer,
            request_id=request_id,
        )
        return error
