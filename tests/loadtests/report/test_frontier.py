import re

from loadtests.report.frontier import draw_frontier, list_front, list_places
from loadtests.results import Agreement, Bound, ModelResults, Recommendation
from model_store.manifest import ReleaseIndex
from tests.loadtests.conftest import make_manifest
from tests.loadtests.report.test_report import FIRST

SPEED = {"rows": 64, "rows_per_s": 80.0, "single_row_ms": 2.0, "threads": 1, "host": "here"}
COUNTS = "differences from eager count from 0.002 on"
PARENT = {"run": "runs/wide", "value": 0.95, "interval": (0.94, 0.96), "size_bytes": 4_000_000, "speed": SPEED}


def make_model(**changes):
    manifests = [
        make_manifest("eager", speed=100.0, size_bytes=2_000_000, **changes),
        make_manifest("onnx", speed=300.0, size_bytes=1_000_000, **changes),
        make_manifest("int8", speed=500.0, passed=False, size_bytes=500_000, **changes),
    ]
    index = ReleaseIndex(
        model="double",
        release=1,
        default="onnx",
        archives={"eager": "0", "onnx": "0"},
        manifests={"eager": "0", "onnx": "0", "int8": "0"},
        rejected={"int8": "worse"},
        examples="0",
    )
    return ModelResults(
        index=index,
        manifests=manifests,
        agreement=Agreement(first=FIRST, rows=8, largest_difference=0.0),
        bound=Bound(ms=50.0, why="as given"),
        searches=[],
        runs=[],
        recommendation=Recommendation(
            version="1-onnx", standing="shown", headline="Deploy", reasons=("fast",), caveats=()
        ),
    )


def test_only_what_may_be_served_is_on_the_front():
    model = make_model()
    assert list_front(model) == ["onnx"]
    states = {place.name: place.state for place in list_places(model)}
    assert states == {
        "eager": "another is as good in all and better in one",
        "onnx": "",
        "int8": "refused by the gate",
    }


def test_the_run_that_a_release_was_made_from_stands_beside_its_variants():
    place = list_places(make_model(parent=PARENT))[-1]
    assert place.figures == ("made from: 0.9500 (0.9400 to 0.9600), 80 rows/s, 4.00 MB; runs/wide, not released here")


def test_an_interval_of_the_speed_is_drawn_across_and_told():
    model = make_model()
    eager, onnx, int8 = model.manifests
    speed = onnx.speed.model_copy(update={"rows_per_s_interval": (290.0, 320.0)})
    model = model.model_copy(update={"manifests": (eager, onnx.model_copy(update={"speed": speed}), int8)})
    picture = draw_frontier(list_places(model), "accuracy")
    assert f"onnx: 0.9300 (0.9200 to 0.9400), 300 (290 to 320) rows/s, 1.00 MB; {COUNTS}</title>" in picture
    assert picture.count('<path d="M') == 8 * 4 + 2  # over speed alone, wide and narrow


def test_every_variant_is_drawn_with_its_interval_and_the_front_alone_is_filled():
    picture = draw_frontier(list_places(make_model()), "accuracy")
    num_drawings = 4  # over speed and over size, wide and narrow
    assert picture.count("<circle") == 3 * num_drawings
    assert picture.count('fill="var(--card)"') == 2 * num_drawings
    assert picture.count('<path d="M') == 8 * num_drawings
    assert f"onnx: 0.9300 (0.9200 to 0.9400), 300 rows/s, 1.00 MB; {COUNTS}</title>" in picture


def test_strokes_stand_where_a_difference_from_the_reference_begins_to_count():
    model = make_model()
    eager, onnx, int8 = model.manifests
    same = onnx.quality.paired.model_copy(update={"difference": 0.0, "interval": (0.0, 0.0)})
    equal = onnx.model_copy(update={"quality": onnx.quality.model_copy(update={"paired": same})})
    for middle, num_strokes, words in ((onnx, 2, COUNTS), (equal, 1, "on no row another than eager's")):
        places = list_places(model.model_copy(update={"manifests": (eager, middle, int8)}))
        strokes = re.findall(r'd="M([\d.]+) [\d.]+ L\1 [\d.]+M[\d.]+ [\d.]+h14M[\d.]+ [\d.]+h14"', str(_wide(places)))
        assert len(strokes) == num_strokes * 2  # over speed and over size
        assert words in places[1].figures
    assert [place.name for place in places if place.compared is None] == ["eager"]


def _wide(places):
    return "".join(re.findall(r'<div class="wide">.*?</div>', draw_frontier(places, "accuracy"), re.S))
