"""`generate`: images from seeds or latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model_store.latents import draw_latents, interpolate_spherically
from services.client.images import as_picture
from services.client.inference import infer_answers, make_infer_calls, metadata
from services.client.steps import Steps

if TYPE_CHECKING:
    from PIL.Image import Image

ROWS_PER_CALL = 32


def generate(
    n: int = 1,
    *,
    label: int | str | Sequence[int | str] | None = None,
    seed: int = 0,
    truncation: float | None = None,
    closeness: float | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
    model: str = "gan",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Image]]:
    """Generate `n` images from the seeds `seed`, `seed` + 1, …: the same seed and label are always the same image.

    `label` is a class for all images, or one for each, by number or by name; without one each seed draws its own class.
    `truncation` bounds the latents: smaller is more typical and less varied. So is `closeness`, from 0 to 1, which
    models with styles take: how near each image's style is to its own. Diffusion models take the other three:
    in how many steps noise becomes an image, how far it is drawn towards its class, and by which sampler.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: `n` is not positive, or there are not `n` labels.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rows = {"seed": np.arange(seed, seed + n, dtype=np.int64)} | _label_rows(label, n)
    doubles = {"truncation": truncation, "closeness": closeness, "guidance": guidance}
    parameters: dict[str, Any] = {name: float(value) for name, value in doubles.items() if value is not None}
    parameters |= {name: value for name, value in (("steps", steps), ("sampler", sampler)) if value is not None}
    return (yield from _generate_rows(rows, n, parameters, model, version, timeout_s))


def interpolate(
    first_seed: int,
    second_seed: int,
    num_steps: int = 8,
    *,
    label: int | str | None = None,
    model: str = "gan",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Image]]:
    """Generate images on the way from one seed to another, along the sphere on which latents lie, both ends included.

    All are of one class: `label`, or without one the class that the first seed draws.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: fewer than two steps, or the model takes no latents.
    """
    description = yield from metadata(model, version=version, timeout_s=timeout_s)
    size = next((tensor.shape[1] for tensor in description.inputs if tensor.name == "latent"), None)
    if size is None:
        raise ValueError(f"model {model} takes no latents, so there is nothing to interpolate")
    first, last = draw_latents((first_seed, second_seed), size)
    latents = interpolate_spherically(first, last, num_steps)
    rows = {"latent": latents} | _label_rows(label, num_steps)
    if label is None and any(tensor.name == "label" for tensor in description.inputs):
        rows["seed"] = np.full(num_steps, first_seed, np.int64)
    return (yield from _generate_rows(rows, num_steps, {}, model, version, timeout_s))


def _generate_rows(
    rows: dict[str, np.ndarray],
    count: int,
    parameters: dict[str, Any],
    model: str,
    version: str,
    timeout_s: float | None,
) -> Steps[list[Image]]:
    calls = make_infer_calls(
        model,
        rows,
        ROWS_PER_CALL,
        parameters=parameters,
        version=version,
        outputs=("image",),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [as_picture(image) for answer in answers for image in answer.arrays["image"]]


def _label_rows(label: Any, count: int) -> dict[str, np.ndarray]:
    """Make the input `label` from numbers or `label_name` from names; nothing without a label."""
    if label is None:
        return {}
    labels = [label] * count if isinstance(label, int | str | np.integer) else list(label)
    if len(labels) != count:
        raise ValueError(f"give one label for all images or {count}, got {len(labels)}")
    given_names = [one for one in labels if isinstance(one, str)]
    if len(given_names) == count:
        names = np.empty(count, np.object_)
        names[:] = [name.encode() for name in given_names]
        return {"label_name": names}
    if given_names:
        raise ValueError("labels are all numbers or all names, got both")
    return {"label": np.array(labels, np.int64)}
