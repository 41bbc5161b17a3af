from services.gateway.errors import STATUSES, GatewayError


def all_subclasses(kind: type) -> set[type]:
    return {kind for child in kind.__subclasses__() for kind in (child, *all_subclasses(child))}


def test_every_error_has_a_status_and_every_outcome_a_name_of_its_own():
    assert set(STATUSES) == all_subclasses(GatewayError)
    assert len({status.outcome for status in STATUSES.values()}) == len(STATUSES)


def test_statuses_are_errors_and_only_what_may_be_repeated_is_unavailable():
    assert all(400 <= status.http < 600 and status.grpc != 0 for status in STATUSES.values())
    unavailable = [kind.__name__ for kind, status in STATUSES.items() if status.http == 503]
    assert unavailable == ["NotReadyError", "WorkerDiedError"]
