"""What the segmenter is trained on: cross-entropy and Dice of the mask, cross-entropy of the image's class.

Dimensions: N images, K classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.segmenter.data import SceneData
from training.segmenter.network import Answer, Segmenter
from training.segmenter.program import predict
from training.segmenter.recipe import Recipe
from training.segmenter.scenes import VOID, label_masks
from training.segmenter.scores import count_pixels, mean_iou


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 − soft Dice of logits [N, K, H, W] against masks int64 [N, H, W], averaged over the classes that are there.

    Sums go over the batch, because a class that an image does not show has no Dice there.
    Source: Milletari, Navab and Ahmadi 2016, V-Net, eq. 2, without the squares.
    """
    counted = (masks != VOID)[:, None]
    truth = F.one_hot(torch.where(masks == VOID, 0, masks), logits.shape[1]).movedim(-1, 1) * counted
    found = logits.softmax(1) * counted
    both, sums = (found * truth).sum((0, 2, 3)), (found + truth).sum((0, 2, 3))
    present = truth.sum((0, 2, 3)) > 0
    return 1 - (2 * both / sums.clamp_min(1e-6))[present].mean()


def mask_loss(logits: Tensor, masks: Tensor, dice_weight: float) -> Tensor:
    """Mean cross-entropy of the pixels that count, and the Dice loss beside it; 0 where no pixel counts."""
    if not (masks != VOID).any():
        return logits.sum() * 0
    loss = F.cross_entropy(logits, masks, ignore_index=VOID)
    return loss + dice_weight * dice_loss(logits, masks) if dice_weight else loss


def measure_losses(answer: Answer, masks: Tensor, num_classes: int, dice_weight: float) -> dict[str, Tensor]:
    """The loss of each task that a network has learned, on masks int64 [N, H, W]."""
    losses = {}
    if answer.mask is not None:
        losses["mask"] = mask_loss(answer.mask, masks, dice_weight)
    if answer.label is not None:
        losses["label"] = F.cross_entropy(answer.label, label_masks(masks, num_classes))
    return losses


class TaskWeights(nn.Module):
    """How the losses of several tasks are added.

    With uncertainty each loss L is weighed by a learned s, the logarithm of the task's variance: exp(−s) L + s / 2.
    Source: Kendall, Gal and Cipolla 2018, arXiv:1705.07115, eq. 10, for classification.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        tasks = ("mask", "label") if recipe.tasks == "both" else (recipe.tasks,)
        learned = recipe.weighting == "uncertainty" and len(tasks) > 1
        self.log_variances = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in tasks if learned})
        self.fixed = {"mask": 1.0, "label": recipe.label_weight if len(tasks) > 1 else 1.0}

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Add losses up."""
        if not self.log_variances:
            return torch.stack([self.fixed[task] * loss for task, loss in losses.items()]).sum()
        weighed = [torch.exp(-self.log_variances[task]) * loss for task, loss in losses.items()]
        return torch.stack([*weighed, *(s / 2 for s in self.log_variances.values())]).sum()


class SegmenterTask(Resumable):
    """A network, scenes to train on and scenes to validate with, as the fit loop sees them."""

    parts = ("network", "weights", "average", "updater")

    def __init__(
        self,
        network: Segmenter,
        weights: TaskWeights,
        data: SceneData,
        updater: Updater,
        device: torch.device,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.network, self.weights, self.data, self.updater, self.device = network, weights, data, updater, device
        self.recipe, self.seed = recipe, seed
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> Segmenter:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, Segmenter)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log the loss of each task and what they add up to."""
        scenes = self.data.source.sample(self.recipe.batch_size, generator_for(self.seed, step))
        masks = scenes.masks.long().to(self.device)
        self.network.train()
        answer = self.network(scenes.images.to(self.device))
        losses = measure_losses(answer, masks, len(self.data.classes), self.recipe.dice_weight)
        loss = self.weights(losses)
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()} | {f"{task}_loss": loss.detach() for task, loss in losses.items()}

    def validate(self) -> Mapping[str, float]:
        """Measure mean IoU and the accuracy of labels; `score` is their mean, or the one that is there."""
        scenes, num_classes = self.data.validation, len(self.data.classes)
        masks, labels = predict(self.best_network, scenes.images)
        figures = {}
        if masks is not None:
            figures["mean_iou"] = mean_iou(count_pixels(masks, scenes.masks.numpy(), num_classes))
        if labels is not None:
            figures["accuracy"] = float((labels == label_masks(scenes.masks, num_classes).numpy()).mean())
        variances = {f"log_variance_{task}": s.item() for task, s in self.weights.log_variances.items()}
        return {"score": sum(figures.values()) / len(figures)} | figures | variances
