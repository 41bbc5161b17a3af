"""What may be on a scene, and how people say it: one thing, small or large, or two beside or above each other.

Dimensions: N scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

COLOURS = {
    "red": (225, 45, 40),
    "green": (40, 170, 60),
    "blue": (50, 85, 235),
    "yellow": (240, 205, 40),
    "purple": (165, 60, 205),
    "cyan": (50, 205, 220),
}
PAPERS = {"black": (15, 15, 15), "grey": (120, 120, 120), "white": (240, 240, 240)}
SMALL, LARGE, BESIDE, ABOVE = range(4)
SINGLE, ALL = (SMALL, LARGE), (SMALL, LARGE, BESIDE, ABOVE)


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Classes and colours int64 [N, 2] of the first and second thing as one reads, layouts and papers int64 [N].

    The number after the last class or colour stands for nothing.
    """

    classes: Tensor
    colours: Tensor
    layouts: Tensor
    papers: Tensor

    @property
    def things(self) -> Tensor:
        """Class and colour of both things, int64 [N, 2, 2]."""
        return torch.stack([self.classes, self.colours], 2)


def is_held_out(classes: Tensor, colours: Tensor) -> Tensor:
    """Which combinations training scenes never have: every class lacks one colour or two, every colour some classes."""
    return (classes + colours) % len(COLOURS) == 0


def draw_scenes(
    count: int, num_classes: int, layouts: Sequence[int], random: torch.Generator, *, held_out: bool | None
) -> Scenes:
    """Draw scenes; all their things are of held-out combinations, or none is, or any may be where that is None."""
    combinations = torch.cartesian_prod(torch.arange(num_classes), torch.arange(len(COLOURS)))
    if held_out is not None:
        combinations = combinations[is_held_out(*combinations.unbind(1)) == held_out]
    chosen = combinations[torch.randint(len(combinations), (count, 2), generator=random)]
    layout = torch.tensor(layouts)[torch.randint(len(layouts), (count,), generator=random)]
    classes, colours = chosen.unbind(2)
    is_alone = (layout < BESIDE)[:, None] & torch.tensor([False, True])
    return Scenes(
        classes=classes.masked_fill(is_alone, num_classes),
        colours=colours.masked_fill(is_alone, len(COLOURS)),
        layouts=layout,
        papers=torch.randint(len(PAPERS), (count,), generator=random),
    )


def caption_scenes(scenes: Scenes, names: Sequence[str], random: torch.Generator) -> list[str]:
    """Say what is on each scene; of two different things either may come first."""
    turned = torch.rand(len(scenes.layouts), generator=random) < 0.5
    colours, papers = list(COLOURS), list(PAPERS)
    captions = []
    for row, (layout, paper, is_turned) in enumerate(
        zip(scenes.layouts.tolist(), scenes.papers.tolist(), turned.tolist(), strict=True)
    ):
        things = [
            f"{colours[colour]} {names[kind]}" for kind, colour in scenes.things[row].tolist() if kind < len(names)
        ]
        captions.append(f"{_arrange(things, layout, is_turned)} on {papers[paper]}")
    return captions


def _arrange(things: Sequence[str], layout: int, turned: bool) -> str:
    first = things[0]
    if layout < BESIDE:
        return f"a {'small' if layout == SMALL else 'large'} {first}"
    second = things[1]
    if first == second:
        return f"two {first}s {'side by side' if layout == BESIDE else 'in a column'}"
    if turned:
        return f"a {second} {'right of' if layout == BESIDE else 'below'} a {first}"
    return f"a {first} {'left of' if layout == BESIDE else 'above'} a {second}"
