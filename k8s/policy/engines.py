"""The rule for pods whose engine has a container of its own."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.policy.objects import Fleet, Object, engine_of, pod_of, server_of


def engine_is_its_gateways(workload: Object, fleet: Fleet) -> Iterator[str]:
    """The two meet in a folder that ends with the pod; the engine comes first, goes last, and serves nobody else."""
    server, engine = server_of(workload), engine_of(workload)
    place = fleet.settings(server).get("MILLRACE_ENGINE", "")
    if engine is None:
        if place:
            yield f"MILLRACE_ENGINE is {place}, and no container runs `serve engine`"
        return
    if not place or fleet.settings(engine).get("MILLRACE_ENGINE") != place:
        yield "the engine's MILLRACE_ENGINE is not its gateway's"
        return
    if engine.get("restartPolicy") != "Always":
        yield f"{engine['name']}: `serve` waits for its end; a sidecar has restartPolicy Always"
    if engine.get("startupProbe", {}).get("exec", {}).get("command") != ["test", "-S", f"{place}/engine.sock"]:
        yield f"{engine['name']}: no startupProbe waits for {place}/engine.sock, so `serve` may look too early"
    folders = [_find_volume(container, place) for container in (server, engine)]
    temporary = {volume["name"] for volume in pod_of(workload)["volumes"] if "emptyDir" in volume}
    if folders[0] != folders[1] or folders[0] not in temporary:
        yield f"{place} is not on one emptyDir that both can write to"
    if place in {mount["mountPath"] for mount in engine["volumeMounts"]}:
        yield f"{place} is a volume's root, which others may write to: the engine makes a folder below one"
    if engine.get("ports"):
        yield f"{engine['name']}: TorchServe's ports are nobody's but its gateway's"
    if seen := {mount["name"] for mount in engine["volumeMounts"]} - temporary:
        yield f"{engine['name']}: sees {', '.join(sorted(seen))}, which only its gateway has to verify"


def _find_volume(container: Object, path: str) -> str:
    """Name the volume that a container can write to above a path."""
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    return next((name for above, name in mounts.items() if path.startswith(f"{above.rstrip('/')}/")), "")
