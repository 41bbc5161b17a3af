"""`k8s render|deploy|smoke|check|fleet|…`: a fleet from the signed store, on a cluster or on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
import yaml

from k8s.checkov import INSTALL, find_checkov_faults
from k8s.checks import build_all, check_edge, check_rules, find_faults
from k8s.costs import CoreHour, GibHour, GpuHour, Prices, size_fleet, tabulate
from k8s.fleet.command import fleet
from k8s.kustomize import KubectlError, build, copy_sources, run_kubectl
from k8s.monitoring_objects import render_monitoring
from k8s.needs import Need, find_needs
from k8s.planning import GPU, NAMESPACE, ModelPlan, plan_models, read_canary
from k8s.policy import RULES
from k8s.policy.objects import containers_of
from k8s.render import render_models, stale_files, write_models
from k8s.routes import DOMAIN, read_mirror
from k8s.scaling import PROMETHEUS, read_hours
from k8s.schemas import VERSIONS
from k8s.settings import ROOM, read_settings
from k8s.simulation.command import simulate_model
from k8s.sizing import Demand
from model_store.settings import DEFAULT_ROOT, keys_folder
from model_store.signing import Keyring
from model_store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

# Imported late: manifests are written without gRPC and the client.

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="A fleet on Kubernetes.",
)

app.command(epilog="Example: k8s fleet --nodes 4 --models classifier --clients web,batch")(fleet)
app.command("simulate", epilog="Example: k8s simulate classifier --out build/scaling")(simulate_model)

Root = Annotated[Path, typer.Option("--store", envvar="MILLRACE_STORE", help="Folder of the store.")]
Models = Annotated[
    str, typer.Option(help="Comma-separated: name, name:3 or name:3-int8; every model's newest release if empty.")
]
Loads = Annotated[
    list[str] | None, typer.Option("--load", help="Rows per second to plan for, NAME=ROWS; may be repeated.")
]
WaitMs = Annotated[float, typer.Option(help="Longest wait for a slot that scaling aims at, in milliseconds.")]
Least = Annotated[int, typer.Option("--min-replicas", help="Fewest pods of a model.")]
Most = Annotated[int, typer.Option("--max-replicas", help="Most pods of a model.")]
Workers = Annotated[int, typer.Option(min=1, help="Worker processes in each pod.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Engine = Annotated[str, typer.Option(help="As the image was built: onnx takes variants without torch only.")]
HostClass = Annotated[
    str, typer.Option(help="Host class (`loadtest certify` names it) that sizes follow from; the slowest if empty.")
]
Gpu = Annotated[
    str, typer.Option("--gpu", help="What a pod for cuda gets one of: nvidia.com/gpu, or nvidia.com/mig-….")
]
Domain = Annotated[str, typer.Option(help="Each model's host name is NAME.DOMAIN (gateway-api).")]
Prometheus = Annotated[str, typer.Option(help="Where KEDA asks.")]
Awake = Annotated[
    str,
    typer.Option(help="For KEDA, as in '0 7 * * 1-5;0 19 * * 1-5;Europe/Berlin': without calls no pods beyond these."),
]
Canaries = Annotated[
    list[str] | None,
    typer.Option("--canary", help="MODEL:VERSION=PERCENT of calls that pods of another version get; repeatable."),
]
Mirrors = Annotated[
    list[str] | None, typer.Option("--mirror", help="MODEL=SERVICE:PERCENT of calls that the edge copies; repeatable.")
]


@app.command(epilog="Example: k8s render --models classifier,seq2seq:2 --load classifier=5000")
def render(
    store: Root = DEFAULT_ROOT,
    models: Models = "",
    load: Loads = None,
    wait_ms: WaitMs = 50,
    min_replicas: Least = 2,
    max_replicas: Most = 10,
    workers: Workers = 1,
    device: Device = "cpu",
    engine: Engine = "",
    host_class: HostClass = "",
    gpu: Gpu = GPU,
    domain: Domain = DOMAIN,
    prometheus: Prometheus = PROMETHEUS,
    canary: Canaries = None,
    mirror: Mirrors = None,
    awake: Awake = "",
    out: Annotated[Path, typer.Option(help="Folder to write.")] = ROOM / "models",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if the folder is stale.")] = False,
) -> None:
    """Write the per-model manifests that the overlays refer to."""
    plans = _plan(
        store, models, load, wait_ms, min_replicas, max_replicas, workers, device, engine, canary, host_class, gpu
    )
    files = _render(plans, domain, prometheus, mirror, awake)
    if check:
        if stale := stale_files(files, out):
            typer.echo(f"k8s: {out} is not what {store} says; render again. Different: {', '.join(stale)}", err=True)
            raise typer.Exit(1)
        return
    write_models(files, out)
    for plan in plans:
        for workload in plan.workloads:
            typer.echo(_describe(workload))


@app.command(epilog="Example: k8s deploy --overlay cpu --image registry.example.com/millrace:cpu")
def deploy(
    overlay: Annotated[str, typer.Option(help="Folder in k8s/overlays.")] = "cpu",
    image: Annotated[str, typer.Option(help="Image to run, NAME:TAG; the overlay's own if empty.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the objects; needs no cluster.")] = False,
    store: Root = DEFAULT_ROOT,
    models: Models = "",
    load: Loads = None,
    wait_ms: WaitMs = 50,
    min_replicas: Least = 2,
    max_replicas: Most = 10,
    workers: Workers = 1,
    device: Device = "cpu",
    host_class: HostClass = "",
    gpu: Gpu = GPU,
    domain: Domain = DOMAIN,
    prometheus: Prometheus = PROMETHEUS,
    canary: Canaries = None,
    mirror: Mirrors = None,
    awake: Awake = "",
) -> None:
    """Render, apply an overlay with the keys trusted here, and wait until every pod is ready.

    An image whose tag is onnx, as `make images` gives it, gets variants that need no torch.
    """
    own_image = _read_image(overlay)
    engine = "onnx" if (image or own_image).endswith(":onnx") else ""
    plans = _plan(
        store, models, load, wait_ms, min_replicas, max_replicas, workers, device, engine, canary, host_class, gpu
    )
    with tempfile.TemporaryDirectory(prefix="millrace-k8s-") as folder:
        root = Path(folder)
        copy_sources(root)
        files = _render(plans, domain, prometheus, mirror, awake)
        write_models(files, root / "models")
        try:
            fleet = _write_fleet(root, overlay, image, keys_folder())
            if dry_run:
                typer.echo(run_kubectl("kustomize", str(fleet)), nl=False)
                return
            needs = find_needs(build(fleet))
            typer.echo(run_kubectl("apply", "-k", str(fleet)), nl=False)
            missing = [need for need in needs if not _is_there(need)]
            for need in missing:
                typer.echo(f"k8s: there is no {need.kind} {need.name}: `{need.advice}`", err=True)
            for workload in [workload for plan in plans for workload in plan.workloads]:
                name = f"deployment/{workload.resource}"
                typer.echo(run_kubectl("rollout", "status", name, "-n", NAMESPACE), nl=False)
        except KubectlError as error:
            _fail(error)
    if missing:
        raise typer.Exit(1)


@app.command(epilog="Example: k8s smoke --domain models.example.com --models classifier --tls-ca edge.crt")
def smoke(
    url: Annotated[
        str, typer.Option(help="Where gRPC answers; if empty localhost:8001, or with --domain each NAME.DOMAIN:443.")
    ] = "",
    domain: Annotated[
        str, typer.Option(help="As rendered: an edge is called, by TLS, each model by its name NAME.DOMAIN.")
    ] = "",
    store: Root = DEFAULT_ROOT,
    models: Models = "",
    device: Device = "cpu",
    timeout_s: Annotated[float, typer.Option(help="Longest wait for each model to be ready.")] = 60,
    api_key: Annotated[
        str | None,
        typer.Option(help="A key of the edge; better as MILLRACE_API_KEY, which others do not see."),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(envvar="MILLRACE_TLS_CA", help="PEM authorities to trust: speak TLS; the system's if empty."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(envvar="MILLRACE_TLS_CLIENT_CERT", help="PEM certificate to show (mtls); needs --tls-key."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="MILLRACE_TLS_CLIENT_KEY", help="PEM key of --tls-cert.")
    ] = None,
) -> None:
    """Call every deployed model once with a signed example; exits with 1 if one does not answer as promised."""
    from k8s.smoke import Door, call_once
    from services.client.errors import ClientError
    from services.client.tls import Tls

    failed = False
    try:
        door = Door(url, domain, api_key, Tls(ca=tls_ca, certificate=tls_cert, key=tls_key))
    except ValueError as error:
        _fail(error)
    for plan in _plan(store, models, None, 50, 1, 1, 1, device):
        manifest = plan.manifest
        try:
            with door.call(plan) as client:
                waiting = f"waiting up to {timeout_s:g} s until {plan.model} {manifest.version} is ready"
                typer.echo(f"{waiting} at {client.url}", err=True)
                client.wait_ready(plan.model, version=manifest.version, timeout_s=timeout_s)
                examples = _open(store).open(plan.model, manifest.release).examples()
                seconds = call_once(client, manifest, examples)
            typer.echo(f"{plan.model} {manifest.version} answered in {1000 * seconds:.1f} ms")
        except (ClientError, OSError, ValueError) as error:
            failed = True
            typer.echo(f"k8s: {plan.model} {manifest.version}: {error}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command("sizes", epilog="Example: k8s sizes --models classifier --core-hour 0.04 --gib-hour 0.005")
def show_sizes(
    store: Root = DEFAULT_ROOT,
    models: Models = "",
    rates: Annotated[str, typer.Option(help="Comma-separated rows per second.")] = "1000,100000,1000000",
    workers: Workers = 1,
    device: Device = "cpu",
    host_class: HostClass = "",
    gpu: Gpu = GPU,
    clusters: Annotated[int, typer.Option(min=1, help="Above 1: any one may be lost, and the others hold it.")] = 1,
    core_hour: CoreHour = 0,
    gib_hour: GibHour = 0,
    gpu_hour: GpuHour = 0,
) -> None:
    """Say how many pods, cores, GiB and GPUs loads take, and what they cost, as a table of Markdown."""
    try:
        prices = Prices(core=core_hour, gib=gib_hour, gpu=gpu_hour)
        loads = [float(rate) for rate in rates.split(",")]
    except ValueError as error:
        _fail(error)
    for plan in _plan(store, models, None, 50, 2, 10, workers, device, "", None, host_class, gpu):
        sizing, basis = plan.sizing, "estimated" if plan.sizing.startup_s is None else "certified"
        typer.echo(
            f"{plan.model} {plan.manifest.version}: a pod answers {sizing.rows_per_s:,.0f} rows/s ({basis}) "
            f"and is asked for {sizing.target_rows_per_s:,}"
        )
        sizes = [size_fleet(plan, rows_per_s, prices, clusters=clusters) for rows_per_s in loads]
        typer.echo(tabulate(sizes, prices))


@app.command(epilog="Example: k8s monitoring")
def monitoring(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = ROOM / "components" / "prometheus-operator",
) -> None:
    """Write the alert rules and the dashboard as objects for a cluster."""
    for name, text in render_monitoring().items():
        (out / name).write_text(text)


@app.command(epilog="Example: k8s check")
def check() -> None:
    """Check overlays, components, alert rules and edge without a cluster: schemas, policy, envoy, promtool, checkov."""
    with tempfile.TemporaryDirectory(prefix="millrace-k8s-") as folder:
        copy_sources(Path(folder))
        fleets = dict(build_all(Path(folder)))
        faults = [fault for name, objects in fleets.items() for fault in find_faults(name, objects)]
        faults += check_edge(Path(folder))
    optional = {
        "promtool on the alert rules (Debian: prometheus)": check_rules(ROOM / "monitoring"),
        f"checkov ({INSTALL})": find_checkov_faults(fleets),
    }
    faults += [fault for told in optional.values() for fault in told or ()]
    for fault in faults:
        typer.echo(f"k8s: {fault}", err=True)
    if faults:
        raise typer.Exit(1)
    typer.echo(
        f"{len(fleets)} renderings fit Kubernetes {VERSIONS[0]} to {VERSIONS[-1]} and {len(RULES)} rules; "
        "Envoy takes the edge"
    )
    for tool, told in optional.items():
        typer.echo(f"  {'passed' if told is not None else 'not run'}: {tool}")


def _read_image(overlay: str) -> str:
    """Read which image an overlay names by itself; empty if it has that from another one."""
    known = sorted(path.name for path in (ROOM / "overlays").iterdir())
    if overlay not in known:
        _fail(f"there is no overlay {overlay!r}; there are {', '.join(known)}")
    kustomization = yaml.safe_load((ROOM / "overlays" / overlay / "kustomization.yaml").read_text())
    return next((f"{item['newName']}:{item['newTag']}" for item in kustomization.get("images", ())), "")


def _write_fleet(root: Path, overlay: str, image: str, keys: Path) -> Path:
    """Write the kustomization of one deployment: an overlay, an image, the trusted keys."""
    fleet = root / "fleet"
    fleet.mkdir()
    trusted = sorted((keys / "trusted").glob("*.pem"))
    for path in trusted:
        (fleet / path.name).write_bytes(path.read_bytes())
    content: dict[str, object] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"../overlays/{overlay}"],
        "namespace": NAMESPACE,
        "generatorOptions": {"disableNameSuffixHash": True},
        "secretGenerator": [{"name": "millrace-trusted-keys", "files": [path.name for path in trusted]}],
    }
    if image:
        name, _, tag = image.rpartition(":")
        if not name or "/" in tag:
            _fail(f"--image is NAME:TAG, as in registry.example.com/millrace:cpu; got {image!r}")
        workloads = [item for item in build(root / "overlays" / overlay) if item["kind"] == "Deployment"]
        current = {container["image"].rpartition(":")[0] for item in workloads for container in containers_of(item)}
        # Where gateway and engine are apart, so are their images: each has the name with its own ending.
        parts = {old: next((part for part in ("-gateway", "-engine") if old.endswith(part)), "") for old in current}
        content["images"] = [
            {"name": old, "newName": f"{name}{part}", "newTag": tag} for old, part in sorted(parts.items())
        ]
    (fleet / "kustomization.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return fleet


def _is_there(need: Need) -> bool:
    return bool(run_kubectl("get", need.kind, need.name, "-n", NAMESPACE, "--ignore-not-found", "-o", "name").strip())


def _render(
    plans: Sequence[ModelPlan], domain: str, prometheus: str, mirrors: Sequence[str] | None, awake: str
) -> dict[str, str]:
    try:
        return render_models(
            plans,
            read_settings(),
            domain=domain,
            prometheus=prometheus,
            mirrors=dict(map(read_mirror, mirrors or [])),
            awake=read_hours(awake) if awake else None,
        )
    except ValueError as error:
        _fail(error)


def _plan(
    root: Path,
    models: str,
    loads: Sequence[str] | None,
    wait_ms: float,
    min_replicas: int,
    max_replicas: int,
    workers: int,
    device: str,
    engine: str = "",
    canaries: Sequence[str] | None = None,
    host_class: str = "",
    gpu: str = GPU,
) -> list[ModelPlan]:
    names = [name.strip() for name in models.split(",") if name.strip()]
    try:
        demands = {
            name: Demand(
                rows_per_s=rows_per_s, wait_s=wait_ms / 1000, min_replicas=min_replicas, max_replicas=max_replicas
            )
            for name, rows_per_s in [("", 0.0), *map(_split_load, loads or [])]
        }
        return plan_models(
            _open(root),
            names,
            device=device,
            demands=demands,
            workers=workers,
            java_heap_mib=int(read_settings()["MILLRACE_JAVA_HEAP_MIB"]),
            engine=engine,
            canaries=dict(map(read_canary, canaries or [])),
            host_class=host_class,
            gpu_resource=gpu,
        )
    except (ValueError, LookupError) as error:
        _fail(error)


def _open(root: Path) -> Store:
    return Store(root, Keyring(keys_folder()))


def _split_load(text: str) -> tuple[str, float]:
    name, _, rows = text.partition("=")
    try:
        return name, float(rows)
    except ValueError:
        raise ValueError(f"--load is NAME=ROWS per second, as in classifier=5000; got {text!r}") from None


def _describe(plan: ModelPlan) -> str:
    sizing = plan.sizing
    return (
        f"{plan.name} {plan.manifest.version}: {sizing.replicas} pods (at most {sizing.max_replicas}) of "
        f"{sizing.cpu_millicores / 1000:g} cores and {sizing.memory_mib} MiB, each about {sizing.rows_per_s:,.0f} "
        f"rows/s; scales at {sizing.target_rows_per_s} rows/s or {sizing.target_waiting_rows} waiting rows a slot"
    )


def _fail(error: object) -> NoReturn:
    typer.echo(f"k8s: {error}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the console script."""
    app()
