from loadtests.report.svg import NARROW_PX, WIDE_PX, Line, draw_lines, make_linear_axis

METRIC = "minus the Fréchet distance (classifier features, 32 components), 95 % interval"


def draw(width_px):
    line = Line(points=[(1.0, 2.0), (2.0, 3.0)], colour="red", marks=())
    x = make_linear_axis("rows/s", [2.0])
    return draw_lines(x, make_linear_axis(METRIC, [3.0]), [line], width_px=width_px, rule=None)


def test_a_title_that_is_longer_than_its_axis_loses_its_end():
    assert "minus the Fréchet distance (classifier f…" in draw(WIDE_PX)
    assert METRIC not in draw(NARROW_PX)
    assert ">rows/s<" in draw(NARROW_PX)
