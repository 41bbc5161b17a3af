"""What checkov finds is a fault unless it is meant, and what is meant must still be found."""

import shutil

import pytest

from k8s.checkov import EXCEPTIONS, VERSION, find_checkov_faults, read_report


def report(*check_ids):
    """A report as checkov 3 writes it, shortened."""
    failed = [
        {"check_id": check_id, "check_name": "a rule", "resource": "Deployment.a.b", "file_path": "/cpu.yaml"}
        for check_id in check_ids
    ]
    return {"check_type": "kubernetes", "results": {"failed_checks": failed, "parsing_errors": []}}


def test_exceptions_are_no_faults():
    assert read_report(report(*EXCEPTIONS)) == []


def test_other_findings_are_faults_with_their_place():
    assert read_report(report(*EXCEPTIONS, "CKV_K8S_16")) == ["cpu: CKV_K8S_16 Deployment.a.b: a rule"]


def test_an_exception_that_nothing_breaks_is_a_fault():
    first, *others = sorted(EXCEPTIONS)
    assert read_report(report(*others)) == [f"checkov finds no {first} any more: remove its exception"]


def test_a_file_that_cannot_be_read_is_a_fault():
    wrong = report(*EXCEPTIONS)
    wrong["results"]["parsing_errors"] = ["/cpu.yaml"]
    assert read_report(wrong) == ["checkov cannot read /cpu.yaml"]


@pytest.mark.parametrize("said", [None, "2.0.0"])
def test_without_the_known_version_nothing_is_judged(said, monkeypatch, tmp_path):
    if said is not None:
        (tmp_path / "checkov").write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / "checkov").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_checkov_faults({}) is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("checkov") is None, reason="checkov is not installed")
def test_every_fleet_passes(fleets):
    assert find_checkov_faults(fleets) == [], VERSION
