"""Who may call: a key or a certificate is asked for before anything of a request's contents is read."""

from __future__ import annotations

from typing import NamedTuple

from services.gateway.audit import Audit
from services.gateway.caller import Caller, name_caller
from services.gateway.errors import GatewayError, PermissionDeniedError, UnauthenticatedError
from services.gateway.keys import ApiKey, KeyRing, Verb

# What a certificate opens without a key: its issuer was chosen for this server, but nobody said what else it may do.
CERTIFICATE_VERBS = (Verb.INFER, Verb.READ)
_BEARER = "bearer "


class Operation(NamedTuple):
    """What a caller wants; `model` is '' where it is unknown yet, or where all are meant."""

    verb: Verb
    model: str
    path: str


class Guard:
    """Lets callers in or raises; every refusal is in the audit log."""

    def __init__(self, keys: KeyRing | None, audit: Audit | None = None) -> None:
        """Without keys only certificates let anybody in."""
        self._keys = keys
        self._audit = audit or Audit()

    def admit(self, operation: Operation, authorization: str, api_key: str, caller: Caller) -> ApiKey | None:
        """Find out who calls by the headers `authorization` and `x-api-key`, and whether it may.

        Returns the key, or None for one who has a certificate only.

        Raises:
            UnauthenticatedError: no key, an unknown one, or one that has expired.
            PermissionDeniedError: the key does not open this.
        """
        token = api_key
        if authorization[: len(_BEARER)].lower() == _BEARER:
            token = authorization[len(_BEARER) :].strip()
        key = self._keys.find(token) if token and self._keys is not None else None
        if key is None:
            if (token and self._keys is not None) or not caller.certificate:
                raise self._refuse(caller, None, operation, UnauthenticatedError(self._explain(token)))
        elif key.has_expired:
            text = f"the key {key.name} ({key.id}) expired on {key.expires:%Y-%m-%d %H:%M} UTC; have a new one made"
            raise self._refuse(caller, key, operation, UnauthenticatedError(text))
        verbs = CERTIFICATE_VERBS if key is None else key.verbs
        if operation.verb not in verbs:
            who = caller.certificate if key is None else f"the key {key.name} ({key.id})"
            text = f"{who} may {' and '.join(sorted(verbs))} here; this takes a key for {operation.verb}"
            raise self._refuse(caller, key, operation, PermissionDeniedError(text))
        if operation.model and key is not None:
            self._check_model(caller, key, operation)
        return key

    def check_model(self, caller: Caller, verb: Verb, model: str) -> None:
        """Refuse a model that a caller's key is not for, before it shows whether there is such a model.

        Raises:
            PermissionDeniedError: names those that it is for.
        """
        if caller.credential is not None:
            self._check_model(caller, caller.credential, Operation(verb, model, ""))

    def _check_model(self, caller: Caller, key: ApiKey, operation: Operation) -> None:
        if key.opens(operation.model):
            return
        wanted = f"not for {operation.model!r}" if operation.model else "not for all at once"
        text = f"the key {key.name} ({key.id}) is for {', '.join(key.models)}, {wanted}"
        raise self._refuse(caller, key, operation, PermissionDeniedError(text))

    def _explain(self, token: str) -> str:
        if token and self._keys is not None:
            return "the key is not known here: it was mistyped or revoked; have a new one made"
        if self._keys is None:
            return "this server asks for a client certificate; call with one that its --tls-client-ca has signed"
        return (
            "this server asks who calls: send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'; its operator "
            "makes keys by `serve keys add`"
        )

    def _refuse(self, caller: Caller, key: ApiKey | None, operation: Operation, error: GatewayError) -> GatewayError:
        self._audit.record(
            name_caller(caller) if key is None else key.name,
            " ".join(filter(None, operation)),
            str(error),
            key="" if key is None else key.id,
            peer=caller.peer,
            request_id=caller.request_id,
        )
        return error
