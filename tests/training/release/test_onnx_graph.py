"""Uses of an ONNX file's values, within loops and branches too."""

import onnx

from training.release.onnx_graph import count_uses

BRANCHED = """
<ir_version: 10, opset_import: ["": 20]>
net (bool yes, float[rows] x) => (float[rows] chosen, float[rows] twice)
{
    twice = Add (x, x)
    chosen = If (yes) <
        then_branch = then () => (float[rows] first) { first = Neg (twice) },
        else_branch = otherwise () => (float[rows] second) { second = Abs (x) }
    >
}
"""


def test_values_are_used_by_nodes_by_branches_and_as_outputs():
    uses = count_uses(onnx.parser.parse_model(BRANCHED).graph)
    assert (uses["x"], uses["twice"], uses["chosen"], uses["yes"]) == (3, 2, 1, 1)
