import numpy as np
import pytest

from loadtests.addresses import Addresses
from loadtests.generate.payload import make_rest_bodies
from loadtests.generate.plan import ClosedLoop, Traffic
from loadtests.generate.processes import run_closed_loop
from loadtests.generate.rest import infer_rest
from model_store.examples import write_examples
from services.client import Tls
from tests.certificates import write_certificate


def test_binary_tensors_pass_in_both_directions(rest_url):
    (body,) = make_rest_bodies([{"x": np.array([[1.5, 2]], np.float32)}])
    answer = infer_rest(Addresses(http=rest_url), "double", "1-a", body, timeout_s=10)
    np.testing.assert_array_equal(answer["y"], np.array([[3, 4]], np.float32))


@pytest.mark.parametrize(("model", "errors"), [("double", []), ("triple", ["HTTP 404"])])
def test_rest_users_are_measured_and_their_errors_counted(rest_url, tmp_path, model, errors):
    write_examples(tmp_path / "examples.npz", {"x": np.ones((2, 2), np.float32)})
    traffic = Traffic(
        protocol="rest",
        url=rest_url,
        model=model,
        version="1-a",
        examples_path=tmp_path / "examples.npz",
        input_names=("x",),
    )
    (recording,) = run_closed_loop(ClosedLoop(traffic=traffic, callers=(1,), warm_up_s=0.1, least_s=0.5, most_s=0.5))
    assert list(recording.errors) == errors
    assert bool(recording.requests) == (not errors)


@pytest.mark.parametrize(("trusted", "errors"), [("server", []), ("other", ["SSLCertVerificationError"])])
def test_rest_users_speak_tls_and_trust_only_whom_they_are_told_to(rest_tls, tmp_path, trusted, errors):
    url, certificate = rest_tls
    write_examples(tmp_path / "examples.npz", {"x": np.ones((2, 2), np.float32)})
    ca = certificate if trusted == "server" else write_certificate(tmp_path, "other")[0]
    traffic = Traffic(
        protocol="rest",
        url=url,
        tls=Tls(ca=ca),
        model="double",
        version="1-a",
        examples_path=tmp_path / "examples.npz",
        input_names=("x",),
    )
    (recording,) = run_closed_loop(ClosedLoop(traffic=traffic, callers=(1,), warm_up_s=0.1, least_s=0.4, most_s=0.4))
    assert list(recording.errors) == errors
    assert bool(recording.requests) == (not errors)
    (body,) = make_rest_bodies([{"x": np.array([[1.5, 2]], np.float32)}])
    if not errors:
        answer = infer_rest(Addresses(http=url, tls=traffic.tls), "double", "1-a", body, timeout_s=10)
        np.testing.assert_array_equal(answer["y"], np.array([[3, 4]], np.float32))
