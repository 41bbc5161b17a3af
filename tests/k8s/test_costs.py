"""What loads take of pods, and what these cost."""

import pytest
from typer.testing import CliRunner

from k8s.cli import app
from k8s.costs import Prices, size_fleet, tabulate
from k8s.settings import ROOM
from k8s.simulation.command import describe, read_pod_hour, read_rendered
from k8s.simulation.run import Result
from tests.k8s.conftest import plan

PRICES = Prices(core=0.04, gib=0.005)


@pytest.fixture
def planned(store):
    """Pods of 2 cores and 2.75 GiB, asked for 1,705 rows/s each."""
    (planned,) = plan(store, "classifier")
    return planned


def test_a_load_takes_pods_and_these_cost(planned):
    size = size_fleet(planned, 100_000, PRICES)
    assert (size.pods, size.cores, size.memory_gib, size.gpus) == (59, 118, 162.25, 0)
    assert size.hour_cost == pytest.approx(59 * (2 * 0.04 + 2.75 * 0.005))
    assert size.million_rows_cost == pytest.approx(size.hour_cost / 360)
    assert size_fleet(planned, 1, PRICES).pods == 2


def test_each_cluster_can_bear_the_loss_of_another(planned):
    # 50,000 rows/s for each of the two that are left.
    assert size_fleet(planned, 100_000, PRICES, clusters=3).pods == 3 * 30
    assert size_fleet(planned, 1_000, PRICES, clusters=2).pods == 4


def test_a_gpu_is_counted_and_priced(gpu_store):
    (planned,) = plan(gpu_store, device="cuda", gpu_resource="nvidia.com/mig-1g.10gb")
    size = size_fleet(planned, 100_000, Prices(gpu=2.5))
    assert (size.gpus, size.hour_cost) == (size.pods, 2.5 * size.pods)


def test_costs_are_told_only_where_prices_were_given(planned):
    size = size_fleet(planned, 1_000, PRICES)
    assert tabulate([size], PRICES).splitlines()[-1] == "| 1,000 | 2 | 4 | 6 | 0 | 0.19 | 0.0521 |"
    assert tabulate([size], Prices()).splitlines()[-1] == "| 1,000 | 2 | 4 | 6 | 0 |"
    with pytest.raises(ValueError, match="at least 0"):
        Prices(core=-1)


def test_a_simulated_day_has_a_price(planned):
    pod_hour = read_pod_hour(read_rendered(ROOM / "models", "classifier")[1], PRICES)
    assert pod_hour == pytest.approx(2 * 0.04 + 2.75 * 0.005)
    result = Result(replicas=[4] * 3600, p99_s=[0.1], offered_rows=1)
    assert "4.0 pod hours for 0.38 in 1.0 h" in describe("day", [1.0] * 3600, result, 0.25, pod_hour)
    assert "4.0 pod hours in 1.0 h" in describe("day", [1.0] * 3600, result, 0.25)


def test_the_command_says_on_what_its_table_rests(store, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(store.keyring.folder))
    arguments = ["sizes", "--store", str(store.root), "--models", "classifier", "--core-hour", "0.04"]
    result = CliRunner().invoke(app, arguments)
    assert "a pod answers 2,841 rows/s (estimated) and is asked for 1,705" in result.output
    assert "| 1,000,000 | 587 | 1,174 |" in result.output
    assert CliRunner().invoke(app, [*arguments, "--rates", "many"]).exit_code == 2
