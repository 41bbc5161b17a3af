"""`serve replay ID`: prove what a release answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.exit_status import exit_status_of
from model_store.settings import DEFAULT_ROOT, keys_folder

# Imported late: `--help` and a mistyped option are answered before the client and the store load.

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog="Examples: serve replay    serve replay 4f2a91-c0")
def replay(
    identity: Annotated[
        str, typer.Argument(metavar="[ID]", help="A request's id, or a record's name; lists records if absent.")
    ] = "",
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    folder: Annotated[
        Path | None, typer.Option(envvar="MILLRACE_RECORD_FOLDER", help="Where `serve --record` keeps requests.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 = cores.")] = 0,
) -> None:
    """Repeat a request that `serve --record` has kept, against the signed release that answered it.

    Exits with 1 if an answer differs by more than is rounding for that variant.
    """
    import uvloop

    from model_store.signing import Keyring
    from model_store.store import Store
    from services.gateway.errors import GatewayError
    from services.gateway.settings import GatewaySettings
    from services.logs import configure_logs
    from services.replay import answer_again, find_release, judge
    from services.torchserve.command import StartError
    from services.torchserve.java import NoUsableJavaError
    from services.torchserve.settings import TorchServeSettings

    given: dict[str, Any] = {} if folder is None else {"record_folder": folder}
    settings = GatewaySettings(**given)
    configure_logs("warning")
    try:
        records = settings.open_records()
        if not identity:
            for name in records.names():
                record = records.read(name)
                typer.echo(f"{name}  {record.moment}  {record.model} {record.version}  {record.request_id}")
            return
        record = records.find(identity)
        variant = find_release(Store(store, Keyring(keys_folder())), record)
        typer.echo(f"{variant}, release {variant.release_digest}: verified")
        typer.echo(f"answered {record.request_id} of {record.caller or 'nobody known'} at {record.moment}; once more:")
        engine: dict[str, Any] = {"workers": 1, "threads": threads}
        found = uvloop.run(answer_again(variant, record, TorchServeSettings(**engine)))
    except (ValueError, LookupError, GatewayError, StartError, NoUsableJavaError) as error:
        typer.echo(f"serve replay: {error}", err=True)
        raise typer.Exit(exit_status_of(error)) from error
    judgements = list(judge(variant, record, found))
    for one in judgements:
        if one.tolerance is None:
            typer.echo(f"  {one.output}: not compared: it differed each time when it was released")
        else:
            typer.echo(f"  {one.difference or f'output {one.output!r} agrees within {one.tolerance:.2g}'}")
    if any(one.difference for one in judgements):
        raise typer.Exit(1)
