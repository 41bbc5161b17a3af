"""`classify_signals`: signals to labels with probabilities."""

from __future__ import annotations

from services.client.classification import Classification, rank_labels
from services.client.inference import metadata
from services.client.series import Series, stack_series
from services.client.steps import Steps


def classify_signals(
    signals: Series,
    *,
    top: int = 1,
    model: str = "signal_classifier",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Classification]]:
    """Classify signals, oldest sample first, NaN where one is missing; `client.perform(classify_signals(…))`.

    The model sees the last samples of each, as many as it takes. Many signals travel in several calls at once; one that
    cannot be read fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: a signal is shorter than what the model takes, or there is none.
    """
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    rows = stack_series(signals, described, "signal", "signal classifier")
    return (yield from rank_labels("signal", rows, top=top, model=model, version=version, timeout_s=timeout_s))
