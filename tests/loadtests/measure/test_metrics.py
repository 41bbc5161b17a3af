from loadtests.measure.metrics import Metrics, Series


def test_the_largest_of_a_gauge_is_looked_for_between_two_moments_only():
    labels = {"model": "net", "version": "1-int8"}
    times = (1.0, 2.0, 3.0, 4.0)
    metrics = Metrics(
        [
            Series("bytes", labels | {"pod": "a"}, times, (9.0, 5.0, 6.0, 8.0)),
            Series("bytes", labels | {"pod": "b"}, times, (9.0, 2.0, 1.0, 8.0)),
            Series("bytes", labels | {"version": "2"}, times, (7.0, 7.0, 7.0, 7.0)),
        ],
        "by hand",
    )
    assert metrics.find_largest("bytes", 2.0, 3.0, **labels) == 8.0
    assert metrics.find_largest("bytes", 2.1, 2.9, **labels) is None
    assert metrics.find_largest("other", 1.0, 4.0) is None


def test_alerts_that_fired_are_a_models_or_everybodys():
    def alert(name, state="firing", **labels):
        return Series("ALERTS", {"alertname": name, "alertstate": state, **labels}, (1.0,), (1.0,))

    metrics = Metrics(
        [alert("Absent"), alert("Down", model="net"), alert("Other", model="b"), alert("Soon", "pending", model="net")],
        "by hand",
    )
    assert metrics.list_alerts("net") == ["Absent", "Down"]
