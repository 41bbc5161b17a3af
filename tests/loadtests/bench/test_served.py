import dataclasses
import io

import numpy as np
from PIL import Image

from loadtests.bench.served import ask_rows_per_s, run_in_process
from loadtests.subject import find_variant
from model_store.signing import Keyring
from model_store.store import Store
from tests.handlers.conftest import describe_brightness
from training.release.cli import release_model


def encode_png(level):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 6, 3), level, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_archive_whose_input_is_bytes_is_measured_in_process(tmp_path):
    encoded = np.empty(3, np.object_)
    encoded[:] = [encode_png(level) for level in (0, 128, 255)]
    spec = dataclasses.replace(
        describe_brightness(), input_sets=(("encoded",), ("image",)), examples={"encoded": encoded}
    )
    release = release_model(spec, Store(tmp_path / "store", Keyring(tmp_path / "keys")), "cpu", ["eager"])
    with run_in_process(release, find_variant(release, "eager", ("label",))) as process:
        assert ask_rows_per_s(process, 0.05) > 0
        assert ask_rows_per_s(process, 0.05) > 0
    assert process.poll() is not None
