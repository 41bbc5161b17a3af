"""What is rendered from a store: true to the release, the same each time, and not stale in the repository."""

from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from k8s.cli import app
from k8s.kserve import inference_service
from k8s.kustomize import build, copy_sources, run_kubectl
from k8s.needs import find_needs
from k8s.nodes import node_patch
from k8s.planning import Canary, read_canary
from k8s.policy import find_violations
from k8s.policy.objects import containers_of
from k8s.render import render_models, stale_files, write_models
from k8s.routes import read_mirror
from k8s.scaling import read_hours
from k8s.schemas import find_misfits
from k8s.settings import ROOM, read_settings
from k8s.simulation.autoscaler import Autoscaler
from k8s.simulation.command import read_start_s
from model_store.signing import Keyring
from model_store.store import Store
from services.gateway.settings import GatewaySettings
from services.torchserve.settings import TorchServeSettings
from tests.k8s.conftest import add_release, plan


def render(store, *names, **options):
    return {
        path: list(yaml.safe_load_all(text))
        for path, text in render_models(plan(store, *names, **options), read_settings()).items()
    }


def test_committed_models_are_what_the_store_says(store):
    assert stale_files(render_models(plan(store), read_settings()), ROOM / "models") == []


def test_the_edge_copies_calls_to_the_mirror_that_was_named(store):
    mirrors = dict([read_mirror("classifier=millrace-next:10")])
    files = render_models(plan(store), read_settings(), mirrors=mirrors)
    grpc, rest = yaml.safe_load_all(files["gateway-api/classifier.yaml"])
    for route, port in ((grpc, 8001), (rest, 8000)):
        copies = {"backendRef": {"name": "millrace-next", "port": port}, "percent": 10}
        (rule,) = route["spec"]["rules"]
        assert rule["filters"] == [{"type": "RequestMirror", "requestMirror": copies}]
        assert find_misfits([route], "1.37") == []
    assert "RequestMirror" not in files["gateway-api/seq2seq.yaml"]


def test_a_canary_has_pods_of_its_own_and_its_share_of_the_calls(store, tmp_path):
    canaries = dict([read_canary("classifier:1-eager=5")])
    files = render_models(plan(store, canaries=canaries), read_settings())
    copy_sources(tmp_path)
    write_models(files, tmp_path / "models")
    objects = build(tmp_path / "overlays" / "production")
    assert find_violations(objects) == []
    assert find_misfits(objects, "1.37") == []
    served = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["args"][-1]
        for item in objects
        if item["kind"] == "Deployment"
    }
    assert served["millrace-classifier"] == "int8"
    assert served["millrace-classifier-canary"] == "eager"
    for route in yaml.safe_load_all(files["gateway-api/classifier.yaml"]):
        shares = {item["name"]: item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]}
        assert shares == {"millrace-classifier": 95, "millrace-classifier-canary": 5}
    assert "weight" not in files["gateway-api/seq2seq.yaml"]
    for name, matcher in (("classifier", 'version!="1-eager"'), ("classifier-canary", 'version="1-eager"')):
        scaler = yaml.safe_load(files[f"keda/{name}.yaml"])["spec"]
        queries = [trigger["metadata"]["query"] for trigger in scaler["triggers"]]
        assert all(f'{{namespace="millrace",model="classifier",{matcher}}}' in query for query in queries)
        assert scaler["minReplicaCount"] == (1 if name.endswith("canary") else 2)
    operators = [
        yaml.safe_load(files[f"hpa/{name}.yaml"])["spec"]["metrics"][0]["external"]["metric"]["selector"]
        for name in ("classifier", "classifier-canary")
    ]
    assert [item["matchExpressions"][0]["operator"] for item in operators] == ["NotIn", "In"]


@pytest.mark.parametrize("wrong", ["classifier", "classifier=5", "classifier:2", "classifier:2=0", "classifier:2=51"])
def test_a_canary_that_cannot_be_read_is_refused(wrong):
    with pytest.raises(ValueError, match="a canary is MODEL:VERSION=PERCENT"):
        read_canary(wrong)


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [("classifier", "1", "the canary of classifier is 1-int8"), ("gan", "1", "a canary of gan, which this fleet")],
)
def test_a_canary_is_another_version_of_what_is_served(store, model, version, message):
    with pytest.raises(ValueError, match=message):
        plan(store, canaries={model: Canary(version, 5)})


def test_a_fleet_that_may_sleep_is_awake_in_its_hours(store, fleets):
    hours = read_hours("0 7 * * 1-5;0 19 * * 1-5;Europe/Berlin")
    text = render_models(plan(store, "classifier", min_replicas=3), read_settings(), awake=hours)[
        "keda/classifier.yaml"
    ]
    scaler = yaml.safe_load(text)
    spec = scaler["spec"]
    assert (spec["minReplicaCount"], spec["cooldownPeriod"]) == (0, 900)
    assert spec["triggers"][-1] == {
        "type": "cron",
        "name": "awake",
        "metadata": {
            "timezone": "Europe/Berlin",
            "start": "0 7 * * 1-5",
            "end": "0 19 * * 1-5",
            "desiredReplicas": "3",
        },
    }
    others = [
        item
        for item in fleets["keda"]
        if item["metadata"]["name"] != scaler["metadata"]["name"] or item["kind"] != "ScaledObject"
    ]
    assert find_violations([*others, scaler]) == []
    assert find_misfits([scaler], "1.37") == []
    assert [trigger["metadata"]["query"].endswith(" or vector(0)") for trigger in spec["triggers"][:-1]] == [True, True]
    assert Autoscaler(scaler).least == 3
    del spec["triggers"][-1]
    assert any("its least and most replicas" in fault for fault in find_violations([*others, scaler]))


@pytest.mark.parametrize(
    "wrong", ["7-19", "0 7 * * 1-5;0 19 * * 1-5", "0 7 * *;0 19 * * 1-5;UTC", "0 7 * * *;0 9 * * *;"]
)
def test_hours_that_cannot_be_read_are_refused(wrong):
    with pytest.raises(ValueError, match="hours are START;END;TIMEZONE"):
        read_hours(wrong)


@pytest.mark.parametrize(
    "wrong", ["classifier", "classifier=next", "classifier=next:0", "classifier=next:101", "=next:5"]
)
def test_a_mirror_that_cannot_be_read_is_refused(wrong):
    with pytest.raises(ValueError, match="a mirror is MODEL=SERVICE:PERCENT"):
        read_mirror(wrong)


def test_a_deployment_follows_the_manifest(store):
    (patch,) = render(store, "classifier:1-eager", workers=2, min_replicas=3)["nodes/classifier/deployment.yaml"]
    pod = patch["spec"]["template"]["spec"]
    server = pod["containers"][0]
    assert patch["spec"]["replicas"] == 3
    assert server["args"] == ["classifier:1", "--variants", "eager"]
    assert {item["name"]: item["value"] for item in server["env"]} == {
        "MILLRACE_DEVICE": "cpu",
        "MILLRACE_WORKERS": "2",
        "MILLRACE_THREADS": "1",
    }
    assert server["resources"]["requests"]["cpu"] == "3000m"
    assert patch["spec"]["template"]["metadata"]["annotations"]["millrace.dev/max-rows"] == "64"
    assert pod["terminationGracePeriodSeconds"] == 5 + 10 + 60 + 15
    terms = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["preference"]
    assert [term["key"].rpartition(".")[2] for term in terms["matchExpressions"]] == ["AVX512F", "AVX512VNNI"]


def test_a_gpu_fleet_keeps_the_rules_of_its_devices(gpu_store, tmp_path):
    copy_sources(tmp_path)
    write_models(render_models(plan(gpu_store, device="cuda"), read_settings()), tmp_path / "models")
    objects = build(tmp_path / "overlays" / "gpu")
    assert find_violations(objects) == []
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    terms = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["preference"]
    assert [term["values"] for term in terms["matchExpressions"]] == [["9"], ["0"]]


def test_a_pod_gets_a_slice_of_a_gpu_where_one_is_named(gpu_store):
    (planned,) = plan(gpu_store, device="cuda", gpu_resource="nvidia.com/mig-1g.10gb")
    limits = node_patch(planned, 90)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == "1"
    assert "nvidia.com/gpu" not in limits


def test_a_start_that_was_measured_sets_its_limits(store, tmp_path):
    (planned,) = plan(store, "classifier")
    certified = replace(planned, sizing=replace(planned.sizing, startup_s=100.0))
    patch = node_patch(certified, 90)
    template = patch["spec"]["template"]
    (container,) = template["spec"]["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["MILLRACE_STARTUP_TIMEOUT_S"] == "430"
    assert container["startupProbe"] == {"failureThreshold": 216}
    assert read_start_s(patch) == 110
    assert read_start_s(node_patch(planned, 90)) == 30
    copy_sources(tmp_path)
    write_models(render_models([certified], read_settings()), tmp_path / "models")
    objects = build(tmp_path / "overlays" / "cpu")
    assert find_violations(objects) == []
    service = inference_service(certified, 90)
    assert service["spec"]["predictor"]["model"]["startupProbe"]["failureThreshold"] == 216
    assert find_misfits([service], "1.37") == []


@pytest.mark.parametrize(
    ("names", "device", "message"),
    [
        (("classifier",), "cuda", "1-int8 is no variant for cuda; there are none"),
        (("classifier", "classifier:1"), "cpu", "has a model of that name already"),
        (("nothing",), "cpu", "no model 'nothing'"),
        (("classifier:1-fp8",), "cpu", "has no variant 'fp8'"),
    ],
)
def test_says_what_cannot_be_served(store, names, device, message):
    with pytest.raises((ValueError, LookupError), match=message):
        plan(store, *names, device=device)


def test_an_image_without_torch_gets_the_fastest_variant_that_needs_none(tmp_path):
    store = Store(tmp_path / "archives", Keyring(tmp_path / "keys"))
    add_release(store, "classifier", portable=("onnx", "onnx-int8"))
    assert [one.manifest.variant for one in plan(store)] == ["int8"]
    assert [one.manifest.variant for one in plan(store, engine="onnx")] == ["onnx-int8"]
    with pytest.raises(ValueError, match=r"1-int8 is no variant for cpu without torch, .* there are onnx, onnx-int8"):
        plan(store, "classifier:1-int8", engine="onnx")


def test_an_engine_apart_has_all_that_its_gateway_does_not_need(store):
    (plan_of_one,) = plan(store, "classifier", workers=2)
    sizing = plan_of_one.sizing
    (patch,) = render(store, "classifier", workers=2)["apart/classifier.yaml"]
    pod = patch["spec"]["template"]["spec"]
    (server,), (_, engine) = pod["containers"], pod["initContainers"]
    assert server["resources"]["requests"] == {"cpu": "700m", "memory": "512Mi", "nvidia.com/gpu": None}
    assert engine["resources"] == {
        "requests": {"cpu": "2300m", "memory": f"{sizing.engine_mib}Mi"},
        "limits": {"memory": f"{sizing.engine_mib}Mi"},
    }
    assert sizing.memory_mib <= sizing.gateway_mib + sizing.engine_mib <= sizing.memory_mib + 512


def test_a_gpu_is_the_engines(gpu_store, tmp_path):
    copy_sources(tmp_path)
    write_models(render_models(plan(gpu_store, device="cuda"), read_settings()), tmp_path / "models")
    write_overlay(tmp_path / "mine", ["../overlays/gpu"], ["../components/apart"])
    objects = build(tmp_path / "mine")
    assert find_violations(objects) == []
    (workload,) = [item for item in objects if item["kind"] == "Deployment"]
    limits = [part["resources"]["limits"].get("nvidia.com/gpu") for part in containers_of(workload)]
    assert limits == [None, "1", None]


@pytest.mark.parametrize("order", [("apart", "image-volume", "mtls"), ("mtls", "image-volume", "apart")])
def test_components_may_come_in_any_order(sources, order):
    folder = sources / "-".join(order)
    write_overlay(folder, ["../overlays/cpu"], [f"../components/{name}" for name in order])
    objects = build(folder)
    assert find_violations(objects) == []
    workload = next(item for item in objects if item["kind"] == "Deployment")
    volumes = {volume["name"]: {*volume} - {"name"} for volume in workload["spec"]["template"]["spec"]["volumes"]}
    assert (volumes["source"], volumes["engine"], volumes["tls"]) == ({"image"}, {"emptyDir"}, {"secret"})


def write_overlay(folder, resources, components):
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources, "components": components}))


def test_a_model_that_is_gone_leaves_nothing(store, tmp_path):
    write_models(render_models(plan(store), read_settings()), tmp_path)
    (tmp_path / "notes.yaml").write_text("mine\n")
    rest = render_models(plan(store, "classifier"), read_settings())
    write_models(rest, tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")} == {*rest, "notes.yaml"}


def test_pods_are_given_settings_that_serve_reads(store):
    fields = GatewaySettings.model_fields.keys() | TorchServeSettings.model_fields.keys() | {"store", "keys"}
    own = render(store)["nodes/classifier/deployment.yaml"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    given = read_settings() | {item["name"]: item["value"] for item in own}
    assert {name.removeprefix("MILLRACE_").lower() for name in given} <= fields
    GatewaySettings(**{name.removeprefix("MILLRACE_").lower(): value for name, value in given.items()})
    TorchServeSettings(**{name.removeprefix("MILLRACE_").lower(): value for name, value in given.items()})


@pytest.fixture
def run(store, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(store.keyring.folder))

    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--store", str(store.root)])

    return run


def test_render_tells_when_a_folder_is_stale(run, tmp_path):
    assert run("render", "--out", str(tmp_path), "--load", "classifier=8000").exit_code == 0
    assert run("render", "--out", str(tmp_path), "--load", "classifier=8000", "--check").exit_code == 0
    stale = run("render", "--out", str(tmp_path), "--check")
    assert stale.exit_code == 1
    assert "Different: keda/classifier.yaml, nodes/classifier/deployment.yaml" in stale.output


def test_deploy_prints_what_it_would_apply(run):
    result = run(
        "deploy", "--dry-run", "--overlay", "production", "--image", "registry:5000/mine:7", "--models", "classifier"
    )
    objects = list(yaml.safe_load_all(result.output))
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    (secret,) = [item for item in objects if item["kind"] == "Secret"]
    pod = deployment["spec"]["template"]["spec"]
    assert {item["image"] for item in (*pod["containers"], *pod["initContainers"])} == {"registry:5000/mine:7"}
    assert secret["metadata"]["name"] == pod["volumes"][2]["secret"]["secretName"]
    assert [name.endswith(".pem") for name in secret["data"]] == [True]


def test_deploy_names_the_image_of_each_part(run):
    arguments = ("--overlay", "apart", "--image", "registry:5000/mine:cpu", "--models", "classifier")
    objects = list(yaml.safe_load_all(run("deploy", "--dry-run", *arguments).output))
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    assert {item["name"]: item["image"] for item in containers_of(deployment)} == {
        "verify": "registry:5000/mine-gateway:cpu",
        "engine": "registry:5000/mine-engine:cpu",
        "serve": "registry:5000/mine-gateway:cpu",
    }


def test_the_newcomers_two_commands_fit(run):
    """`make images` and `make deploy OVERLAY=dev`: one image, and no variant that it cannot run."""
    makefile = (ROOM.parent / "Makefile").read_text()
    assert "ENGINE ?= onnx\n" in makefile
    assert "localhost/millrace$(if $(PART),-$(PART)):$(ENGINE)" in makefile
    overlay = yaml.safe_load((ROOM / "overlays" / "dev" / "kustomization.yaml").read_text())
    assert overlay["images"] == [
        {"name": "registry.example.com/millrace", "newName": "localhost/millrace", "newTag": "onnx"}
    ]
    refused = run("deploy", "--dry-run", "--overlay", "dev", "--models", "classifier:1-int8")
    assert (refused.exit_code, "is no variant for cpu without torch" in refused.output) == (2, True)


@pytest.mark.parametrize("there", [("millrace-edge-tls",), ("millrace-edge-tls", "millrace-api-keys")])
def test_deploy_says_which_secrets_are_missing_and_how_they_are_made(run, monkeypatch, there):
    asked = []

    def pretend(*arguments):
        if arguments[0] == "kustomize":
            return run_kubectl(*arguments)
        asked.append(arguments)
        return f"secret/{arguments[2]}" if arguments[0] == "get" and arguments[2] in there else ""

    monkeypatch.setattr("k8s.cli.run_kubectl", pretend)
    result = run("deploy", "--overlay", "production", "--models", "classifier")
    verbs = [arguments[0] for arguments in asked]
    assert verbs == ["apply", "get", "get", "rollout"]
    advice = "kubectl -n millrace create secret generic millrace-api-keys --from-literal=web="
    is_missing = "millrace-api-keys" not in there
    assert (advice in result.output, result.exit_code) == (is_missing, int(is_missing))
    assert "create secret tls millrace-edge-tls" not in result.output


@pytest.mark.parametrize(
    ("fleet", "missing"),
    [
        ("cpu", ["Secret millrace-trusted-keys"]),
        ("gateway-api", ["Secret millrace-api-keys", "Secret millrace-edge-tls", "Secret millrace-trusted-keys"]),
        ("mtls", ["Secret millrace-api-keys", "Secret millrace-trusted-keys"]),
        ("jwt", ["ConfigMap millrace-token-keys", "Secret millrace-edge-tls", "Secret millrace-trusted-keys"]),
        ("kserve", ["Secret millrace-trusted-keys"]),
    ],
)
def test_a_fleet_needs_what_it_names_and_does_not_make(fleets, fleet, missing):
    assert [f"{need.kind} {need.name}" for need in find_needs(fleets[fleet])] == missing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deploy", "--overlay", "moon"), "there is no overlay 'moon'; there are apart, cpu, dev, gpu, production"),
        (("deploy", "--image", "millrace"), "--image is NAME:TAG"),
        (("render", "--load", "classifier=many"), "--load is NAME=ROWS per second"),
        (("render", "--load", "classifier=900000"), "more than the 10 allowed; raise --max-replicas or --workers"),
    ],
)
def test_bad_options_exit_with_2_and_say_why(run, arguments, message):
    result = run(*arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output
