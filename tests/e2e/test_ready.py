"""Ready is what an answer has shown: every server that these tests start is watched from its first moment."""

import re
import time

import httpx
import pytest

from tests.e2e.conftest import Served


def test_the_first_request_after_ready_is_answered_and_all_ways_of_asking_agree(served):
    assert served.start.first_answers == {"scale": "OK", "brightness": "OK"}
    assert served.start.contradictions == []
    assert served.start.num_looks > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_servers_answer_the_first_request_after_ready(released, tmp_path):
    refused = []
    for _ in range(20):
        served = Served(released, tmp_path)
        served.stop()
        refused += [answer for answer in served.start.first_answers.values() if answer != "OK"]
        refused += served.start.contradictions
    assert refused == []


def test_a_worker_that_was_killed_is_ready_again_only_when_it_answers(released, tmp_path):
    served = Served(released, tmp_path, "scale")
    (worker,) = served.workers("scale")
    worker.kill()
    seen = []
    end_s = time.monotonic() + 60
    with httpx.Client(base_url=f"http://{served.http}", timeout=30) as client:
        while seen[-2:] != [503, 200] and time.monotonic() < end_s:
            status = client.get("/v2/health/ready").status_code
            if seen[-1:] != [status]:
                seen.append(status)
            time.sleep(0.01)
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        answer = client.post("/v2/models/scale/infer", json=body)
    metrics = httpx.get(served.metrics).text
    served.stop()
    assert seen[-2:] == [503, 200]
    assert (answer.status_code, answer.json()["outputs"][0]["data"]) == (200, [2, 4, 6, 8])
    assert 'millrace_worker_restarts_total{model="scale",version="1-eager"} 1.0' in metrics
    memory = re.search(r'millrace_worker_resident_bytes\{model="scale",version="1-eager"\} (\S+)', metrics)
    assert 50e6 < float(memory[1]) < 2e9
    load = re.search(r'millrace_worker_load_seconds\{model="scale",version="1-eager"\} (\S+)', metrics)
    assert 0 < float(load[1]) < 150
    assert re.search(r'millrace_build_info\{torch="2\.\S+",torchserve="0\.12\.0",version="\S+"\} 1\.0', metrics)
    assert re.search(r"memory   scale 1-eager: \d+ MiB\n  memory   \d+ MiB in all", served.log.read_text())
