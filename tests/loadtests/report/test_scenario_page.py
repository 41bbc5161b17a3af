"""What a scenario's page draws."""

from loadtests.report.scenario_page import draw_rates
from tests.loadtests import synthetic


def test_what_came_due_is_drawn_also_where_nothing_was_answered():
    recording = synthetic.run(synthetic.serve_in(0.01), 100).recording
    unanswered = recording.model_copy(update={"corrected": None})  # as recordings of failed requests are
    assert draw_rates([unanswered]) == draw_rates([recording])
    assert draw_rates([recording.model_copy(update={"arrivals_s": None})]) != draw_rates([recording])
