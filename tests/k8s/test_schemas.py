"""Schemas of all versions accept every fleet, and refuse what is misspelt."""

import copy

from k8s.checks import find_faults
from k8s.schemas import VERSIONS, find_misfits


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
    assert any(line.endswith("spec.trigers is not a field of ScaledObject") for line in found)
    assert any(line.endswith("spec.triggers is missing") for line in found)
    assert any("PodMonitr is neither Kubernetes' own nor listed" in line for line in found)


def test_image_volumes_are_checked_from_their_first_version_on(fleets):
    objects = fleets["image-volume"]
    assert any("image" in misfit for misfit in find_misfits(objects, "1.30"))
    assert find_faults("image-volume", objects) == []
