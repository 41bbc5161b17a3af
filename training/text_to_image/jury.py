"""Who teaches and who judges: three networks that are trained first, in folders of their own inside the run.

The teacher guides what draws and has seen nothing but its training images. The judge, who looks for an image's caption,
is another network from another seed; it and the reader, who names things, have learned from all combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from training.engine.checkpoint import Resumable, save_atomically
from training.engine.device import place
from training.engine.loop import CHECKPOINT, Plan, fit
from training.engine.optimization import Updater
from training.engine.runs import NETWORK
from training.engine.schedules import make_schedule
from training.engine.seeds import generator_for, seed_everything
from training.sequences.vocabulary import Vocabulary
from training.text_to_image.captioned import CaptionData
from training.text_to_image.matching import Matcher
from training.text_to_image.pairs import Pairs
from training.text_to_image.reading import Reader
from training.text_to_image.recipe import Recipe

VOCABULARY = "vocabulary.model"
_BATCH, _VALIDATION = 1, 2
_FURTHER_SEED = 1000  # between the seeds of a run and of its judges
Network = TypeVar("Network", bound=nn.Module)
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Jury:
    """The teacher, the judge, and the reader where it is known what is on images."""

    teacher: Matcher
    judge: Matcher
    reader: Reader | None


class JurorTask(Resumable):
    """One network of the jury; `measure_loss` takes images float32 [N, C, H, W], pieces [N, S] and the images' rows."""

    parts = ("network", "updater")

    def __init__(
        self, network: nn.Module, measure_loss: Loss, pairs: Pairs, recipe: Recipe, device: torch.device, seed: int
    ) -> None:
        self.network, self.measure_loss, self.pairs = network, measure_loss, pairs
        self.batch_size, self.device, self.seed = recipe.judge_batch_size, device, seed
        optimizer = torch.optim.AdamW(network.parameters(), recipe.judge_lr, fused=True)
        self.updater = Updater(
            [optimizer], make_schedule("cosine", num_steps=recipe.judge_steps, warmup_fraction=0.05), clip_norm=1.0
        )

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log its loss."""
        self.network.train()
        loss = self._measure(_BATCH, step)
        self.updater.update(loss, step)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Measure the loss of a batch that is always the same."""
        self.network.eval()
        return {"quality": -float(self._measure(_VALIDATION))}

    def _measure(self, *where: int) -> Tensor:
        return self.measure_loss(*self.pairs.draw(self.batch_size, generator_for(self.seed, *where), self.device))


def find_jury(
    recipe: Recipe, data: CaptionData, vocabulary: Vocabulary, run: Path, device: torch.device, seed: int
) -> Jury:
    """Open the recipe's jury, or train one in folders of `run`; one that is there already stays as it is.

    Raises:
        ValueError: the recipe's jury reads captions by another vocabulary.
    """
    if not recipe.jury:
        _train_jury(recipe, data, vocabulary, run, device, seed)
    return open_jury(recipe, data, vocabulary, run, device)


def open_jury(recipe: Recipe, data: CaptionData, vocabulary: Vocabulary, run: Path, device: torch.device) -> Jury:
    """The jury of a run, whose networks learn no more.

    Raises:
        FileNotFoundError: a network was never finished.
        ValueError: the recipe's jury reads captions by another vocabulary.
    """
    folder = Path(recipe.jury) if recipe.jury else run
    if (folder / VOCABULARY).read_bytes() != vocabulary.model:
        raise ValueError(f"jury={folder} reads captions by another vocabulary; take a run on the same data")
    teacher, judge, reader = _build_jury(recipe, data, len(vocabulary))
    return Jury(
        teacher=_open(teacher, folder / "teacher", device),
        judge=_open(judge, folder / "judge", device),
        reader=None if reader is None else _open(reader, folder / "reader", device),
    )


def _build_jury(recipe: Recipe, data: CaptionData, num_pieces: int) -> tuple[Matcher, Matcher, Reader | None]:
    reader = Reader(recipe, data.shape, len(data.classes), len(data.colours)) if data.classes else None
    return Matcher(recipe, num_pieces, data.shape), Matcher(recipe, num_pieces, data.shape), reader


def _train_jury(
    recipe: Recipe, data: CaptionData, vocabulary: Vocabulary, run: Path, device: torch.device, seed: int
) -> None:
    seed_everything(seed + _FURTHER_SEED)
    teacher, judge, reader = _build_jury(recipe, data, len(vocabulary))
    learned, judging = (Pairs.of(part, vocabulary, recipe.max_pieces) for part in (data.train, data.judging))

    def train(network: nn.Module, measure_loss: Loss, pairs: Pairs, name: str, number: int) -> None:
        folder = run / name
        if (folder / NETWORK).exists():
            return
        folder.mkdir(exist_ok=True)
        task = JurorTask(place(network, device), measure_loss, pairs, recipe, device, seed + _FURTHER_SEED + number)
        plan = Plan(num_steps=recipe.judge_steps, validate_every=recipe.judge_steps, monitor="quality")
        fit(task, plan, folder, resume=(folder / CHECKPOINT).exists())
        save_atomically(network.state_dict(), folder / NETWORK)

    train(teacher, lambda images, pieces, rows: teacher.measure_loss(images, pieces), learned, "teacher", 0)
    train(judge, lambda images, pieces, rows: judge.measure_loss(images, pieces), judging, "judge", 1)
    if reader is not None and judging.things is not None:
        things = judging.things
        train(
            reader,
            lambda images, pieces, rows: reader.measure_loss(images, things[rows].to(device)),
            judging,
            "reader",
            2,
        )


def _open(network: Network, folder: Path, device: torch.device) -> Network:
    file = folder / NETWORK
    if not file.is_file():
        raise FileNotFoundError(f"{folder} has no {NETWORK}: the run was never trained so far")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return place(network.eval().requires_grad_(False), device)
