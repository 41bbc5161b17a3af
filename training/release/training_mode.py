"""Find in an exported program what only a network in training mode does."""

from __future__ import annotations

import torch
from torch.export import ExportedProgram

_WHAT_TO_DO = "call .eval() on the module before torch.export.export"


def refuse_training_mode(program: ExportedProgram) -> None:
    """Refuse a program that was exported in training mode.

    Raises:
        ValueError: names the operators, or the buffers that each call changes, and says what to do.
    """
    found = sorted({name for module in _graph_modules(program) for name in _training_operators(module)})
    if found:
        raise ValueError(
            f"the program was exported in training mode ({', '.join(found)}): its answers depend on chance or on the "
            f"rows beside them, and one row alone has no statistics, so no batch size serves it; {_WHAT_TO_DO} (a "
            "BatchNorm also needs track_running_stats)"
        )
    changed = sorted(set(program.graph_signature.buffers_to_mutate.values()) | _written_buffers(program))
    if changed:
        raise ValueError(
            f"the program changes its own buffers in each call ({', '.join(changed)}): its answers depend on what was "
            f"asked before; {_WHAT_TO_DO}, or make the state an input and an output"
        )


def _graph_modules(program: ExportedProgram) -> list[torch.fx.GraphModule]:
    """The program's graph and those of its branches and loops."""
    return [module for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]


def _training_operators(module: torch.fx.GraphModule) -> set[str]:
    found = set()
    for node in module.graph.nodes:
        name = str(getattr(node.target, "overloadpacket", ""))
        if "batch_norm" in name or "dropout" in name:
            flags = [_argument(node, flag) for flag in ("training", "train")]
            if True in flags or name.endswith("_batch_norm_with_update"):
                found.add(name)
    return found


def _argument(node: torch.fx.Node, name: str) -> object:
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    if name not in names:
        return None
    place = names.index(name)
    return node.args[place] if place < len(node.args) else node.kwargs.get(name)


def _written_buffers(program: ExportedProgram) -> set[str]:
    """Buffers that an operator writes in place, as operators of a program that was not functionalized do."""
    buffers = program.graph_signature.inputs_to_buffers
    found = set()
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        for argument, value in zip(schema.arguments if schema is not None else (), node.args, strict=False):
            is_written = argument.alias_info is not None and argument.alias_info.is_write
            if is_written and isinstance(value, torch.fx.Node) and value.name in buffers:
                found.add(buffers[value.name])
    return found
