"""What a browser makes of the pages: on a phone, in the dark, without a network."""

import pytest

from loadtests.generate.plan import Traffic
from loadtests.measure.host import describe_host
from loadtests.report import write_report
from loadtests.report.comparison_page import write_comparison
from loadtests.report.scenario_page import write_scenario_report
from loadtests.scenario import Scenario
from loadtests.scenario_run import ScenarioResults, judge_target
from tests.browser import open_browser
from tests.loadtests import synthetic
from tests.loadtests.report.test_report import results as results  # the fixture

PHONE = {"width": 400, "height": 800}


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


def write_scenario(folder):
    load = {"kind": "spike", "rate": 50, "peak_rate": 150, "seconds": 30, "peak_seconds": 5}
    targets = [{"model": "double"}, {"model": "a-model-with-a-long-name"}]
    scenario = Scenario.model_validate({"name": "lunch", "bound_ms": 50, "targets": targets, "load": load})
    servers = (synthetic.serve_in(0.01), synthetic.serve_with_stalls(0.01, every_s=10, stall_s=1))
    traffics = [
        Traffic(url="far:8001", model=target.model, version="1-int8", examples_path=folder, input_names=("x",))
        for target in scenario.targets
    ]
    outcomes = tuple(
        judge_target(scenario, traffic, synthetic.run(server, 100).recording)
        for traffic, server in zip(traffics, servers, strict=True)
    )
    results = ScenarioResults(
        name="lunch",
        created="2026-01-01",
        command="loadtest",
        host=describe_host(),
        scenario=scenario,
        outcomes=outcomes,
    )
    return write_scenario_report(results, folder)


def test_a_campaigns_page_fits_a_phone_in_the_dark(browser, results, tmp_path):
    look_at(browser, write_report(results, tmp_path))


def test_a_scenarios_page_fits_a_phone_in_the_dark(browser, tmp_path):
    look_at(browser, write_scenario(tmp_path))


def test_a_page_of_several_tests_fits_a_phone_in_the_dark(browser, results, tmp_path):
    elsewhere = results.model_copy(update={"name": "a-test-with-a-long-name-on-another-host"})
    write_comparison([results, elsewhere], tmp_path / "all.html")
    look_at(browser, tmp_path / "all.html")


def look_at(browser, path):
    """Open a page without a network: it fits, changes its light, and says nothing to the console."""
    context = browser.new_context(viewport=PHONE, color_scheme="dark", offline=True)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(20, 23, 26)", "rgb(251, 250, 248)")
    assert problems == []
    context.close()
