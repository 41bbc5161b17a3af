"""`serve keys add|list|revoke`: who may call this machine's servers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from model_store.exit_status import exit_status_of
from model_store.settings import keys_folder
from services.gateway.keys import ApiKey, KeyFile, KeysError, Verb

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Make, list and revoke API keys; a running `serve --api-keys FILE` follows within a second.",
)

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", envvar="MILLRACE_API_KEYS", help="Where keys are kept. [api_keys.json beside the signing key]"
    ),
]
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


@app.command(epilog="Example: serve keys add phone-app --models classifier,seq2seq --expires 30d")
def add(
    name: Annotated[str, typer.Argument(help="Who will hold it; all keys of one name are one caller.")],
    models: Annotated[str, typer.Option(help="Comma-separated names; all if empty.")] = "",
    verbs: Annotated[
        str, typer.Option(help="Comma-separated: infer, read (what is served), admin (change it).")
    ] = "infer,read",
    expires: Annotated[str, typer.Option(help="After so many hours (12h) or days, on a date, or never.")] = "90d",
    file: FileOption = None,
) -> None:
    """Make a key and print it, once: only its digest is kept."""
    keys = _open(file)
    try:
        token = keys.add(name, _split(models), tuple(map(_parse_verb, _split(verbs))), parse_expiry(expires))
    except KeysError as error:
        raise _fail(error) from error
    typer.echo(token)
    typer.echo(f"kept as a digest in {keys.path}; serve with --api-keys {keys.path}", err=True)


@app.command("list", epilog="Example: serve keys list")
def list_keys(file: FileOption = None) -> None:
    """List keys: id, name, models, verbs and when each ends."""
    try:
        for key in _open(file).read():
            typer.echo(_describe(key))
    except KeysError as error:
        raise _fail(error) from error


@app.command(epilog="Example: serve keys revoke phone-app    serve keys revoke 4f2a91c0")
def revoke(
    name: Annotated[str, typer.Argument(help="A key's id, or a name: all its keys.")], file: FileOption = None
) -> None:
    """Revoke keys."""
    try:
        for key in _open(file).revoke(name):
            typer.echo(f"revoked {_describe(key)}")
    except KeysError as error:
        raise _fail(error) from error


def parse_expiry(text: str, now: datetime | None = None) -> datetime | None:
    """Read when a key ends: `12h`, `90d`, `2027-01-31` (its end, UTC), or `never`.

    Raises:
        KeysError: another text, or a moment that has passed.
    """
    now = now or datetime.now(UTC)
    if text == "never":
        return None
    try:
        if span := re.fullmatch(r"(\d{1,5})([hd])", text):
            end = now + int(span[1]) * _UNITS[span[2]]
        else:
            end = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError:
        raise KeysError(f"--expires takes 12h, 90d, 2027-01-31 or never; got {text!r}") from None
    if end <= now:
        raise KeysError(f"--expires {text} has passed already; a key must have some time")
    return end


def _parse_verb(text: str) -> Verb:
    try:
        return Verb(text)
    except ValueError:
        raise KeysError(f"--verbs takes {', '.join(Verb)}; got {text!r}") from None


def _split(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _describe(key: ApiKey) -> str:
    ends = (
        "never ends"
        if key.expires is None
        else f"{'EXPIRED' if key.has_expired else 'until'} {key.expires:%Y-%m-%d %H:%M}"
    )
    return f"{key.id}  {key.name}  {', '.join(key.models) or 'all models'}  {', '.join(key.verbs)}  {ends}"


def _open(file: Path | None) -> KeyFile:
    return KeyFile(file or keys_folder() / "api_keys.json")


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"serve keys: {error}", err=True)
    return typer.Exit(exit_status_of(error))
