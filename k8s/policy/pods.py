"""Rules for one workload: who it may be, what it asks for, how it starts and ends. Each yields what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.policy.ending import find_end
from k8s.policy.engines import engine_is_its_gateways
from k8s.policy.objects import Fleet, Object, containers_of, cores, engine_of, labels_of, pod_of, probe_s, server_of

STARTUP, READY, LIVE = "startupProbe", "readinessProbe", "livenessProbe"


def runs_unprivileged(workload: Object, fleet: Fleet) -> Iterator[str]:
    pod = pod_of(workload)
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("runAsUser", 0) == 0:
        yield "runs as root: runAsNonRoot and a user above 0"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile RuntimeDefault"
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        yield "shares a namespace of the host"
    for container in containers_of(workload):
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
            yield f"{container['name']}: may gain privileges"
        if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
            yield f"{container['name']}: keeps capabilities"


def writes_only_where_it_must(workload: Object, fleet: Fleet) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in pod_of(workload)["volumes"]}
    for volume in volumes.values():
        if "hostPath" in volume:
            yield f"volume {volume['name']} is the host's"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no size limit"
    for container in containers_of(workload):
        if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            yield f"{container['name']}: its root file system can be written"
        for mount in container["volumeMounts"]:
            if not mount.get("readOnly") and "emptyDir" not in volumes[mount["name"]]:
                yield f"{container['name']}: writes to {mount['name']}, which outlives the pod"
    mounts = {mount["mountPath"]: mount for mount in server_of(workload)["volumeMounts"]}
    if not mounts.get("/store", {}).get("readOnly"):
        yield "the server could change the store"
    if "/tmp" not in mounts or mounts["/tmp"].get("readOnly"):
        yield "nothing to write on at /tmp, which TorchServe needs"


def has_no_way_into_the_cluster(workload: Object, fleet: Fleet) -> Iterator[str]:
    pod = pod_of(workload)
    if pod.get("automountServiceAccountToken") is not False:
        yield "carries a token of the Kubernetes API"
    if pod.get("enableServiceLinks") is not False:
        yield "service links put MILLRACE_…_PORT into the environment, where settings are read"


def asks_for_what_it_uses(workload: Object, fleet: Fleet) -> Iterator[str]:
    for container in containers_of(workload):
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if not {"cpu", "memory"} <= requests.keys():
            yield f"{container['name']}: no request for cpu and memory"
        if limits.get("memory") != requests.get("memory"):
            yield f"{container['name']}: memory limit and request differ, so another pod's growth can end it"
        if "cpu" in limits:
            yield f"{container['name']}: a limit for the processor only makes answers late"


def threads_fit_the_request(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    settings = fleet.settings(container)
    if "MILLRACE_THREADS" not in settings or "MILLRACE_WORKERS" not in settings:
        yield "MILLRACE_WORKERS and MILLRACE_THREADS are not set: `serve` would take every core of the machine"
        return
    if workload["metadata"]["labels"].get("millrace.dev/overcommit") == "true":
        return
    threads = int(settings["MILLRACE_WORKERS"]) * int(settings["MILLRACE_THREADS"])
    asked = [part["resources"]["requests"]["cpu"] for part in (container, engine_of(workload)) if part is not None]
    if threads + 1 > sum(map(cores, asked)):
        yield f"{threads} threads and a gateway on {' + '.join(asked)} of processor"


def device_fits_the_pod(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    wants_gpu = fleet.settings(container).get("MILLRACE_DEVICE") == "cuda"
    runs = engine_of(workload) or container
    limits = runs["resources"].get("limits", {})
    gpus = {name: number for name, number in limits.items() if name.startswith("nvidia.com/")}
    if wants_gpu != bool(gpus):
        yield f"MILLRACE_DEVICE and its nvidia.com limits ({gpus}) say different things"
    if wants_gpu and not any(item.get("key") == "nvidia.com/gpu" for item in pod_of(workload).get("tolerations", ())):
        yield "no toleration for nvidia.com/gpu: it never gets a node with one"


def probes_ask_the_right_thing(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    ports = {port["name"] for port in container["ports"]}
    for kind, path in ((STARTUP, "/v2/health/ready"), (READY, "/v2/health/ready"), (LIVE, "/v2/health/live")):
        request = container.get(kind, {}).get("httpGet", {})
        if request.get("path") != path or request.get("port") not in ports:
            yield f"{kind} does not ask for {path} on a port of the container"


def certificates_are_whole(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    settings = fleet.settings(container)
    names = ("MILLRACE_TLS_CERT", "MILLRACE_TLS_KEY", "MILLRACE_TLS_CLIENT_CA")
    given = [settings[name] for name in names if settings.get(name)]
    schemes = {container.get(kind, {}).get("httpGet", {}).get("scheme", "HTTP") for kind in (STARTUP, READY, LIVE)}
    if schemes != ({"HTTPS"} if given else {"HTTP"}):
        yield f"probes speak {' and '.join(sorted(schemes))}; with certificates all must speak HTTPS, else none"
    if not given:
        return
    if len(given) != len(names):
        yield f"only {len(given)} of {', '.join(names)} are set"
    if settings.get("MILLRACE_INSECURE") == "true":
        yield "MILLRACE_INSECURE says that nobody is asked, beside certificates that are"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"] if mount.get("readOnly")}
    secrets = {volume["name"] for volume in pod_of(workload)["volumes"] if "secret" in volume}
    for path in given:
        if mounts.get(path.rpartition("/")[0]) not in secrets:
            yield f"{path} is in no Secret that is mounted read-only"


def start_has_the_time_it_needs(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    wanted_s = float(fleet.settings(container).get("MILLRACE_STARTUP_TIMEOUT_S", "inf"))
    if STARTUP in container and probe_s(container[STARTUP]) <= wanted_s:
        yield f"startupProbe gives up after {probe_s(container[STARTUP]):g} s, `serve` after {wanted_s:g} s"


def ends_in_order(workload: Object, fleet: Fleet) -> Iterator[str]:
    container = server_of(workload)
    needed_s, faults = find_end(container, fleet)
    yield from faults
    if needed_s is None:
        return
    if pod_of(workload).get("terminationGracePeriodSeconds", 30) < needed_s:
        yield f"terminationGracePeriodSeconds is below the {needed_s:g} s of preStop, drain and the engine's end"
    delay_s = float(fleet.settings(container)["MILLRACE_DRAIN_DELAY_S"])
    if READY in container and delay_s <= probe_s(container[READY]):
        yield f"the doors close {delay_s:g} s after not ready, which is believed after {probe_s(container[READY]):g} s"


def serves_what_was_verified(workload: Object, fleet: Fleet) -> Iterator[str]:
    first = pod_of(workload).get("initContainers", [{}])[0]
    server = server_of(workload)
    if first.get("command") != ["store", "copy"] or first.get("image") != server["image"]:
        yield "no init container that copies and verifies the release with the server's image"
        return
    model = server["args"][0].replace(":", "/")
    if first["args"] != [model, "--to", "/store"]:
        yield f"verifies {first['args'][0]} and serves {model}"
    if "/keys/trusted" not in {mount["mountPath"] for mount in first["volumeMounts"]}:
        yield "verifies without the trusted keys"


def names_its_release(workload: Object, fleet: Fleet) -> Iterator[str]:
    labels, annotations = labels_of(workload), workload["spec"]["template"]["metadata"].get("annotations", {})
    digest = annotations.get("millrace.dev/release-digest", "")
    label = labels.get("millrace.dev/release-digest", "")
    if not digest.startswith("sha256:") or not label or not digest.removeprefix("sha256:").startswith(label):
        yield "no digest of its release in label and annotation, or two different ones"
    container = server_of(workload)
    if f"{container['args'][0].partition(':')[2]}-{container['args'][-1]}" != labels.get("app.kubernetes.io/version"):
        yield "app.kubernetes.io/version is not the release and variant that it serves"
    if "millrace.dev/release-digest" in workload["spec"]["selector"]["matchLabels"]:
        yield "the release is in the selector, which can never change"


def spreads_over_zones_and_hosts(workload: Object, fleet: Fleet) -> Iterator[str]:
    constraints = {item["topologyKey"]: item for item in pod_of(workload).get("topologySpreadConstraints", ())}
    for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname"):
        selector = constraints.get(key, {}).get("labelSelector", {}).get("matchLabels", {})
        if not selector or any(labels_of(workload).get(name) != value for name, value in selector.items()):
            yield f"is not spread by {key}"


def image_is_named(workload: Object, fleet: Fleet) -> Iterator[str]:
    for container in containers_of(workload):
        _, _, last = container["image"].rpartition("/")
        if "@sha256:" not in last and (":" not in last or last.endswith(":latest")):
            yield f"{container['name']}: image {container['image']} has no tag or digest"


WORKLOAD_RULES = (
    runs_unprivileged,
    writes_only_where_it_must,
    has_no_way_into_the_cluster,
    asks_for_what_it_uses,
    threads_fit_the_request,
    device_fits_the_pod,
    probes_ask_the_right_thing,
    certificates_are_whole,
    start_has_the_time_it_needs,
    ends_in_order,
    serves_what_was_verified,
    names_its_release,
    spreads_over_zones_and_hosts,
    image_is_named,
    engine_is_its_gateways,
)
