"""`store list|show|card|verify|rollback|restore|copy|remove|prune`: look after released models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_store.evidence import read_records
from model_store.exit_status import exit_status_of
from model_store.frontier import FRONT_MARK, in_brackets
from model_store.live_gate import read_progress
from model_store.manifest import Manifest
from model_store.measured import ParentRun, Quality, Speed
from model_store.model_card import write_card
from model_store.release import Release, UnknownReleaseError
from model_store.rollback import restore as restore_release
from model_store.rollback import roll_back
from model_store.settings import DEFAULT_ROOT, keys_folder
from model_store.signing import Keyring, VerificationError
from model_store.store import Store

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help="Look after released models."
)

Root = Annotated[Path, typer.Option("--store", envvar="MILLRACE_STORE", help="Folder of the store.")]
Name = Annotated[
    str, typer.Argument(metavar="MODEL[/VERSION]", help="As in classifier, classifier/3, classifier/3-int8.")
]


@app.command("list", epilog="Example: store list")
def list_releases(root: Root = DEFAULT_ROOT) -> None:
    """List all releases with their variants, the default first, and what rejected variants lacked."""
    store = _open(root)
    for model in store.models():
        try:
            withdrawn = store.course(model).withdrawn
        except VerificationError as error:
            typer.echo(f"{model}  ITS ACTS DO NOT VERIFY: {error}")
            withdrawn = set[str]()
        for number in reversed(store.releases(model)):
            try:
                release = store.open(model, number)
            except VerificationError as error:
                typer.echo(f"{model}/{number}  DOES NOT VERIFY: {error}")
                continue
            quality = release.manifests[release.index.default].quality
            measured = f"{quality.metric} {quality.value:.4f} on {quality.dataset}"
            rejected = f"  rejected: {', '.join(release.index.rejected)}" if release.index.rejected else ""
            state = "  withdrawn" if str(number) in withdrawn else ""
            typer.echo(f"{model}/{number}  {', '.join(release.variants)}  {measured}{rejected}{state}")
    if not store.models():
        typer.echo(f"{root} holds no releases; `release RUN` makes one")


@app.command(epilog="Example: store show classifier/3-int8")
def show(name: Name, root: Root = DEFAULT_ROOT) -> None:
    """Show a variant's manifest in words; the current release's default unless a version says otherwise."""
    model, _, version = name.partition("/")
    store = _open(root)
    try:
        release, variant = store.resolve(model, version)
        acts = store.acts(model).read()
    except (UnknownReleaseError, VerificationError) as error:
        raise _fail(error) from error
    lines = _describe(release, release.manifests[variant])
    versions = (str(release.number), f"{release.number}-{variant}")
    lines += [f"  {act.kind:<9} {act.version} at {act.created}: {act.why}" for act in acts if act.version in versions]
    gates = read_progress(root, model, f"{release.number}-{variant}")
    lines += [f"  live gate {gate.in_words}; {gate.host} at {gate.updated}" for gate in gates]
    typer.echo("\n".join(lines))


@app.command(epilog="Example: store card classifier/3-int8")
def card(name: Name, root: Root = DEFAULT_ROOT) -> None:
    """Print a variant's model card as Markdown; its archive holds the same."""
    model, _, version = name.partition("/")
    try:
        release, variant = _open(root).resolve(model, version)
    except (UnknownReleaseError, VerificationError) as error:
        raise _fail(error) from error
    typer.echo(write_card(release.manifests[variant], *read_records(release.evidence_path)), nl=False)


@app.command(epilog="Example: store verify classifier")
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="All models if absent.")] = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Check signatures and digests of all releases; exits with 1 if one does not verify."""
    store = _open(root)
    failed = False
    for model in [name] if name else store.models():
        if not store.releases(model):
            raise _fail(LookupError(f"no model {model!r} in {root}"))
        for number in store.releases(model):
            try:
                store.open(model, number)
                typer.echo(f"{model}/{number} verified")
            except (VerificationError, ValueError) as error:
                failed = True
                typer.echo(f"{model}/{number} DOES NOT VERIFY: {error}")
        try:
            acts = store.acts(model).read()
            if acts:
                typer.echo(f"{model} acts verified: {len(acts)}")
        except VerificationError as error:
            failed = True
            typer.echo(f"{model} acts DO NOT VERIFY: {error}")
    if failed:
        raise typer.Exit(1)


@app.command(epilog='Example: store rollback classifier --why "wrong labels"')
def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    why: Annotated[str, typer.Option(help="Kept in the signed record.")] = "asked for",
    root: Root = DEFAULT_ROOT,
) -> None:
    """Withdraw what answers by default, by a signed act; serving processes go back to what answered before it."""
    store = _open(root)
    try:
        act = roll_back(store, model, why)
        release, variant = store.resolve(model)
    except (UnknownReleaseError, VerificationError) as error:
        raise _fail(error) from error
    typer.echo(f"withdrew {model}/{act.version}; {model}/{release.number}-{variant} answers by default")


@app.command(epilog="Example: store restore classifier/3")
def restore(
    name: Annotated[str, typer.Argument(metavar="MODEL/RELEASE", help="As in classifier/3.")],
    why: Annotated[str, typer.Option(help="Kept in the signed record.")] = "asked for",
    root: Root = DEFAULT_ROOT,
) -> None:
    """Let a withdrawn release answer again, by a signed act."""
    model, number = _split_name(name)
    try:
        restore_release(_open(root), model, number, why)
    except (UnknownReleaseError, VerificationError) as error:
        raise _fail(error) from error
    typer.echo(f"restored {model}/{number}")


@app.command(epilog="Example: store copy classifier/3 --to /store")
def copy(
    name: Annotated[str, typer.Argument(metavar="MODEL/RELEASE", help="As in classifier/3.")],
    to: Annotated[Path, typer.Option(help="Folder of the other store.")],
    root: Root = DEFAULT_ROOT,
) -> None:
    """Copy one release into another store and verify the copy; exits with 1 if it does not verify."""
    model, number = _split_name(name)
    try:
        _open(root).copy(model, number, to)
    except UnknownReleaseError as error:
        raise _fail(error) from error
    except VerificationError as error:
        typer.echo(f"{name} DOES NOT VERIFY: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"copied {name} to {to}, verified")


@app.command(epilog="Example: store remove classifier/3")
def remove(
    name: Annotated[str, typer.Argument(metavar="MODEL/RELEASE", help="As in classifier/3.")], root: Root = DEFAULT_ROOT
) -> None:
    """Remove one release with all its variants; its number is not used again."""
    model, number = _split_name(name)
    try:
        _open(root).remove(model, number)
    except UnknownReleaseError as error:
        raise _fail(error) from error
    typer.echo(f"removed {model}/{number}")


@app.command(epilog="Example: store prune --keep 2")
def prune(
    keep: Annotated[int, typer.Option(min=1, help="Newest releases of each model to keep.")] = 3,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Remove all but the newest releases of each model, and what crashed builds left behind."""
    for path in _open(root).prune(keep):
        typer.echo(f"removed {path}")


def _describe(release: Release, manifest: Manifest) -> list[str]:
    quality, speed, target = manifest.quality, manifest.speed, manifest.target
    rank = "default" if manifest.variant == release.index.default else "variant"
    lines = [
        f"{manifest.model}/{manifest.version} ({rank}): {manifest.description}",
        f"  kind      {manifest.kind}",
        f"  archive   {release.archive_path(manifest.variant)}",
        f"  created   {manifest.created} by `{manifest.source.command}` at {manifest.source.git_commit or 'no commit'}",
        f"  target    {target.device} {target.capability or 'any'}, torch {target.torch_version or 'any or none'}",
        f"  quality   {quality.metric} {quality.value:.4f} ({quality.interval[0]:.4f} … {quality.interval[1]:.4f}), "
        f"{quality.n} rows of {quality.dataset}",
        f"  learned   {quality.learned_in_words}",
        f"  gate      {manifest.gate.why}",
        f"  speed     {speed.rows_per_s:,.0f} rows/s at {speed.rows} rows, one row {speed.single_row_ms:.3f} ms, "
        f"{speed.threads} thread(s) of {speed.host}",
        f"  rows      at most {manifest.max_rows} in a batch",
    ]
    for kind, tensors in (("input", manifest.inputs), ("output", manifest.outputs)):
        lines += [
            f"  {kind:<9} {tensor.name} {tensor.datatype} {list(tensor.shape)}: {tensor.meaning}" for tensor in tensors
        ]
    lines += [
        f"  parameter {parameter.name} {parameter.kind}: {parameter.meaning}" for parameter in manifest.parameters
    ]
    lines += _describe_golden(release, manifest.variant)
    lines += [
        f"  certified {certificate.rows_per_s or 0:,.0f} rows/s within {certificate.bound_ms:g} ms (p99) by "
        f"{certificate.setup.workers} worker(s) of {certificate.setup.threads} thread(s) on {certificate.host}"
        for certificate in release.certificates
        if certificate.variant == manifest.variant
    ]
    for trial in manifest.search.trials if manifest.search else ():
        low, high = trial.interval
        lines.append(
            f"  {'chosen' if trial.is_chosen else 'tried':<9} {trial.rounding}: {trial.difference:+.4f} ({low:+.4f} … "
            f"{high:+.4f}), {trial.rows_per_s:,.0f} rows/s, {'passed' if trial.passed else 'failed'}"
        )
    lines += _describe_frontier(release)
    lines += [f"  rejected  {variant}: {why}" for variant, why in release.index.rejected.items()]
    lines += [f"  left out  {variant}: {why}" for variant, why in release.index.left_out.items()]
    return lines


def _describe_frontier(release: Release) -> list[str]:
    """All variants side by side, those that no other beats marked; and the run that they were made from."""
    front = release.front
    rows: list[tuple[str, Quality | ParentRun, Speed, int]] = [
        (variant, manifest.quality, manifest.speed, manifest.size_bytes)
        for variant, manifest in release.manifests.items()
    ]
    parent = release.manifests[release.index.default].parent
    if parent is not None:
        rows.append((f"made from {parent.run}", parent, parent.speed, parent.size_bytes))
    width = max(len(name) for name, *_ in rows)
    return [
        f"  frontier  {FRONT_MARK if name in front else ' '} {name:<{width}}  {quality.value:.4f} "
        f"({quality.interval[0]:.4f} … {quality.interval[1]:.4f})  "
        f"{speed.rows_per_s:>9,.0f}{in_brackets(speed.rows_per_s_interval, ',.0f')} rows/s  "
        f"{speed.single_row_ms:>8.3f}{in_brackets(speed.single_row_ms_interval, '.3f')} ms  {size_bytes / 1e6:>7.1f} MB"
        f"{_describe_detectable(quality)}"
        for name, quality, speed, size_bytes in rows
    ]


def _describe_detectable(quality: Quality | ParentRun) -> str:
    paired = quality.paired if isinstance(quality, Quality) else None
    return f"  {paired.detectable_in_words}" if paired else ""


def _describe_golden(release: Release, variant: str) -> list[str]:
    if release.index.golden is None:
        return ["  golden    none: released before there were golden rows"]
    lines = []
    for golden in release.index.golden.outputs:
        if golden.variant == variant:
            allowed = golden.why and f"not compared: {golden.why}"
            if golden.tolerance is not None:
                allowed = f"within {golden.tolerance:.2g}" if golden.tolerance else "equal"
            lines.append(f"  golden    {golden.output} for {' and '.join(golden.inputs)}: {allowed}")
    return lines


def _split_name(name: str) -> tuple[str, int]:
    model, _, number = name.partition("/")
    if not number.isdecimal():
        raise _fail(ValueError(f"say which release, as in {model}/3; got {name!r}"))
    return model, int(number)


def _open(root: Path) -> Store:
    return Store(root, Keyring(keys_folder()))


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"store: {error}", err=True)
    return typer.Exit(exit_status_of(error))


def main() -> None:
    """Entry point of the console script."""
    app()
