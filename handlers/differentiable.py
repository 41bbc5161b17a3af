"""Exported programs through which gradients flow: their operations are still there; a compiled one has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

# Of a path's points so many at once, unless the program takes fewer rows.
_POINTS_AT_ONCE = 16


class AttributionError(ValueError):
    """This program's answers cannot be attributed so; the message is for the caller."""


class DifferentiableProgram:
    """A program as a function to values [N, K] that have gradients: K classes, or what there is in their place."""

    def __init__(self, file: Path) -> None:
        """Load a `.pt2`.

        Raises:
            AttributionError: it holds no graph, or none of its outputs comes from such values.
        """
        exported = torch.export.load(file)
        module = exported.module(check_guards=False)
        if not isinstance(module, fx.GraphModule):
            raise AttributionError(f"{file.name} holds no graph whose gradients could be taken")
        _let_floats_in(module)
        self._module = module
        self.points_at_once = min([_POINTS_AT_ONCE, *(int(each.upper) for each in exported.range_constraints.values())])
        self._values: torch.Tensor | None = None
        found = _find_values(module)
        self._sources = _list_sources(found)
        self.mark(found).register_forward_hook(self._keep)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        self._module(*inputs)
        values, self._values = self._values, None
        assert values is not None
        return values

    def choose(self, inputs: torch.Tensor, target: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Find each row's class to explain, the most probable or `target`, and all values; [N] and [N, K].

        Raises:
            AttributionError: there is no such class.
        """
        with torch.no_grad():
            values = self(inputs)
        if target is not None and not 0 <= target < values.shape[1]:
            raise AttributionError(f"there is no class {target}; the program tells {values.shape[1]} apart")
        return values.argmax(1) if target is None else torch.full((len(values),), target), values

    def integrate_gradients(
        self, layer: nn.Module, rows: torch.Tensor, baseline: float, targets: torch.Tensor, num_steps: int
    ) -> torch.Tensor:
        """Attribute each row's class [N] to what a marked operation gives, on the path from rows full of `baseline`.

        Returns what the operation gives in shape; a row's sum is what the value of its end exceeds that of its
        beginning by.
        """
        from captum.attr import LayerIntegratedGradients

        method = LayerIntegratedGradients(self, layer)
        found = [
            method.attribute(
                row,
                baselines=torch.full_like(row, baseline),
                target=int(wanted),
                n_steps=num_steps,
                internal_batch_size=self.points_at_once,
            )
            for row, wanted in zip(rows.split(1), targets, strict=True)
        ]
        return torch.cat(found).detach()

    def list_sources(self) -> list[fx.Node]:
        """List the operations from which the values come, in their order."""
        return [node for node in self._module.graph.nodes if node in self._sources]

    def mark(self, node: fx.Node) -> nn.Module:
        """Let an operation's result pass through a module of its own, which hooks can see."""
        layer = nn.Identity()
        name = f"marked_{node.name}"
        self._module.add_module(name, layer)
        with self._module.graph.inserting_after(node):
            marked = self._module.graph.call_module(name, (node,))
        node.replace_all_uses_with(marked, delete_user_cb=lambda user: user is not marked)
        self._module.recompile()
        return layer

    def _keep(self, layer: nn.Module, inputs: Any, values: torch.Tensor) -> None:
        self._values = values


def calls(node: fx.Node, *names: str) -> bool:
    """Say whether an operation is one of these of aten."""
    return node.op == "call_function" and any(f"aten.{name}." in str(node.target) for name in names)


def value_of(node: fx.Node) -> torch.Tensor | None:
    """What an operation was seen to give when it was exported, if that is a tensor."""
    value = node.meta.get("val")
    return value if isinstance(value, torch.Tensor) else None


def find_input(sources: list[fx.Node]) -> fx.Node:
    """Find the only input from which values come."""
    (found,) = (node for node in sources if node.op == "placeholder")
    return found


def _list_sources(node: fx.Node) -> set[fx.Node]:
    found, waiting = set(), [node]
    while waiting:
        new = waiting.pop()
        if new not in found:
            found.add(new)
            waiting += new.all_input_nodes
    return found


def _let_floats_in(module: fx.GraphModule) -> None:
    """Remove the checks that inputs are whole numbers: these have no gradient, and the program makes floats of them."""
    for node in list(module.graph.nodes):
        if "_assert_tensor_metadata" in str(node.target):
            module.graph.erase_node(node)
    module.recompile()


def _find_values(module: fx.GraphModule) -> fx.Node:
    """The first output of floats [N, K]; else, of a mask, the mean probability of each class at all its places."""
    *nodes, output = module.graph.nodes
    for node in output.all_input_nodes:
        value = value_of(node)
        if value is not None and value.is_floating_point() and value.dim() == 2:
            return node
    for node in nodes:
        logits = value_of(node.args[0]) if calls(node, "argmax") else None
        if logits is None or logits.dim() < 3:
            continue
        axis = node.args[1] % logits.dim()
        others = [each for each in range(1, logits.dim()) if each != axis]
        with module.graph.inserting_after(node):
            shares = module.graph.call_function(torch.softmax, (node.args[0], axis))
        with module.graph.inserting_after(shares):
            return module.graph.call_function(torch.mean, (shares, others))
    raise AttributionError("none of the program's outputs is one of classes' probabilities")
