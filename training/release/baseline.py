"""Whether a model has learned anything: its reference against answers that take no learning, on the same rows.

The gate compares variants with their reference alone, so that a network that never learned would pass in every form.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.release.measurement import Measurement
from training.release.spec import HeldOut
from training.release.statistics import paired_bootstrap, paired_difference_interval


class UntrainedError(ValueError):
    """The reference is not shown to be better than its baseline."""


@dataclass(frozen=True, kw_only=True)
class BaselineFinding:
    """How the reference compares with the baseline; the fields are those of the manifest's BaselineTest."""

    name: str
    value: float
    difference: float
    interval: tuple[float, float]

    @property
    def is_beaten(self) -> bool:
        """Whether the interval of the difference excludes that nothing was learned."""
        return self.interval[0] > 0


def compare_with_baseline(reference: Measurement, held_out: HeldOut) -> BaselineFinding | None:
    """Compare the reference with the baseline that its model states, row by row; None where it states none."""
    if held_out.baseline is None:
        return None
    scores = held_out.baseline.scores
    value = held_out.summarize(scores)
    if held_out.binary:
        better, worse = int((reference.scores > scores).sum()), int((reference.scores < scores).sum())
        interval = paired_difference_interval(better, worse, len(scores))
    else:
        interval = paired_bootstrap(reference.scores, scores, held_out.aggregate)[:2]
    return BaselineFinding(
        name=held_out.baseline.name, value=value, difference=reference.value - value, interval=interval
    )


def refuse_untrained(finding: BaselineFinding | None, reference: Measurement, held_out: HeldOut) -> None:
    """Refuse a model that is not shown to be better than its baseline.

    Raises:
        UntrainedError: says by which figures, and what to do.
    """
    if finding is None or finding.is_beaten:
        return
    low, high = finding.interval
    raise UntrainedError(
        f"nothing shows that it has learned: {held_out.metric} {reference.value:.4f}, and {finding.name} reaches "
        f"{finding.value:.4f} on the same {len(reference.scores)} rows of {held_out.dataset}: difference "
        f"{finding.difference:+.4f} ({low:+.4f} … {high:+.4f}), whose lower bound is not above 0. Train it longer "
        "or with another recipe, or say --allow-untrained to release it as it is"
    )
