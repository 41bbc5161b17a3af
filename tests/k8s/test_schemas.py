"""Schemas of all versions accept every fleet, and refuse what is misspelt."""

import copy

import pytest

from k8s.checks import find_faults
from k8s.schemas import VERSIONS, custom_kinds, find_misfits


def test_every_fleet_fits_the_oldest_and_the_newest_version(fleets):
    for name, objects in fleets.items():
        for version in (VERSIONS[1], VERSIONS[-1]):
            assert find_misfits(objects, version) == [], name


def test_finds_unknown_and_missing_fields(fleets):
    objects = copy.deepcopy(fleets["production"])
    by_kind = {item["kind"]: item for item in objects}
    by_kind["Deployment"]["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    by_kind["ScaledObject"]["spec"]["trigers"] = by_kind["ScaledObject"]["spec"].pop("triggers")
    by_kind["PodMonitor"]["kind"] = "PodMonitr"
    found = find_misfits(objects, "1.37")
    assert len(found) == 4, found
    assert "'livenesProbe' was unexpected" in "".join(found)
    assert any("('trigers' was unexpected)" in line for line in found)
    assert any(line.endswith("spec: 'triggers' is a required property") for line in found)
    assert any("PodMonitr is neither Kubernetes' own nor in k8s/crds" in line for line in found)


# By kind: where in the object, what is written there, and what the schema says of it.
BREAKERS = {
    "BackendTLSPolicy": (["spec", "validation", "hostname"], 7, "7 is not of type 'string'"),
    "BackendTrafficPolicy": (["spec", "loadBalancer", "type"], "Fastest", "'Fastest' is not one of ["),
    "Certificate": (["spec", "issuerRef"], {"kind": "Issuer"}, "'name' is a required property"),
    "ClientTrafficPolicy": (["spec", "http2", "maxStreams"], 5, "('maxStreams' was unexpected)"),
    "EnvoyProxy": (["spec", "telemetry", "accessLogs"], {}, "('accessLogs' was unexpected)"),
    "GRPCRoute": (["spec", "rules", 0, "backendRefs", 0, "port"], "8001", "'8001' is not of type 'number'"),
    "Gateway": (["spec", "listeners", 0, "protocoll"], "HTTPS", "('protocoll' was unexpected)"),
    "GatewayClass": (["spec", "controllerName"], None, "None is not of type 'string'"),
    "HTTPRoute": (["spec", "rules", 0, "matches", 0, "path", "type"], "Prefix", "'Prefix' is not one of ["),
    "InferenceService": (["spec", "predictor", "model", "modelFormt"], {}, "('modelFormt' was unexpected)"),
    "Issuer": (["spec", "selfsigned"], {}, "('selfsigned' was unexpected)"),
    "PodMonitor": (["spec", "podMetricsEndpoints"], {"port": "metrics"}, "is not of type 'array'"),
    "PrometheusRule": (["spec", "groups", 0, "rules", 0, "expression"], "1", "('expression' was unexpected)"),
    "ScaledObject": (["spec", "scaleTargetRef"], {"kind": "Deployment"}, "'name' is a required property"),
    "SecurityPolicy": (["spec", "apiKeyAuth", "extractFrom", 0, "header"], "x", "('header' was unexpected)"),
    "ServingRuntime": (["spec", "containers", 0, "image"], 1, "1 is not of type 'string'"),
}


def test_every_kind_of_others_has_what_breaks_it(fleets):
    known = {kind.partition(" ")[2] for kind in custom_kinds()}
    used = {item["kind"] for objects in fleets.values() for item in objects}
    assert BREAKERS.keys() == known == known & used


@pytest.mark.parametrize("kind", BREAKERS)
def test_a_schema_finds_what_breaks_it(fleets, kind):
    (*path, last), wrong, message = BREAKERS[kind]
    item = copy.deepcopy(next(item for objects in fleets.values() for item in objects if item["kind"] == kind))
    place = item
    for step in path:
        place = place[step]
    place[last] = wrong
    (found,) = find_misfits([item], "1.37")
    assert message in found


def test_image_volumes_are_checked_from_their_first_version_on(fleets):
    objects = fleets["image-volume"]
    assert any("image" in misfit for misfit in find_misfits(objects, "1.30"))
    assert find_faults("image-volume", objects) == []
