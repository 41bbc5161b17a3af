"""Three models as the examples of Triton's client call them, released and signed as any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx

from model_store.examples import write_examples
from model_store.manifest import ReleaseIndex
from model_store.release import EXAMPLES_NAME, archive_name, file_digest, manifest_name
from model_store.store import Store
from tests.builders import make_manifest
from training.release.archive import pack
from training.release.cli import release_model
from training.release.content import MANIFEST_NAME, add_worker
from training.release.onnx_program import describe_onnx_program

PORTABLE = {"device": "cpu", "capability": "", "torch_version": ""}
SIMPLE = """
<ir_version: 10, opset_import: ["": 20]>
simple (int32[rows, 16] INPUT0, int32[rows, 16] INPUT1) => (int32[rows, 16] OUTPUT0, int32[rows, 16] OUTPUT1)
{
    OUTPUT0 = Add (INPUT0, INPUT1)
    OUTPUT1 = Sub (INPUT0, INPUT1)
}
"""


def release_triton_models(store: Store) -> None:
    """Release `simple` from an ONNX file, `simple_string` and `simple_identity` with a handler of the tests' own."""
    path = store.root / "simple.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx.parser.parse_model(SIMPLE), path)
    release_model(describe_onnx_program(path, "simple", max_rows=8), store, "cpu", ["onnx"])
    path.unlink()
    _release_texts(store, "simple_string", 2)
    _release_texts(store, "simple_identity", 1)


def _release_texts(store: Store, model: str, num_tensors: int) -> None:
    """Release a model of texts [N, 16]."""
    inputs, outputs = (
        [
            {"name": f"{side}{index}", "datatype": "BYTES", "shape": [-1, 16], "meaning": "texts"}
            for index in range(num_tensors)
        ]
        for side in ("INPUT", "OUTPUT")
    )
    names = [tensor["name"] for tensor in inputs]
    with store.building(model) as (number, folder):
        content = folder / "content"
        content.mkdir()
        add_worker(content, "tensor", PORTABLE)
        shutil.copy(Path(__file__).with_name("text_numbers.py"), content / "handlers")
        manifest = make_manifest(
            model,
            number,
            "eager",
            kind="text_numbers",
            programs={},
            inputs=inputs,
            outputs=outputs,
            input_sets=[names],
            target=PORTABLE,
        )
        path = folder / manifest_name(model, number, "eager")
        path.write_text(manifest.model_dump_json())
        shutil.copy(path, content / MANIFEST_NAME)
        archive = folder / archive_name(model, number, "eager")
        pack(content, manifest, archive)
        shutil.rmtree(content)
        texts = np.empty((1, 16), np.object_)
        texts[:] = b"7"
        write_examples(folder / EXAMPLES_NAME, dict.fromkeys(names, texts))
        index = ReleaseIndex(
            model=model,
            release=number,
            default="eager",
            archives={"eager": file_digest(archive)},
            manifests={"eager": file_digest(path)},
            examples=file_digest(folder / EXAMPLES_NAME),
        )
        store.publish(folder, index)
