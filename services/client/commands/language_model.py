"""`infer language_model "The list of"`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from services.client.connecting import Connect, connecting
from services.client.continuation import Writing, continue_text, continue_text_stream
from services.client.options import JsonOption, VersionOption


@connecting
def run(
    context: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="how the text begins; standard input if none")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="most pieces to write", min=1, show_default="model's")] = None,
    temperature: Annotated[float, typer.Option(help="of chance; 0 takes the likeliest piece", min=0)] = 0.7,
    top_k: Annotated[
        int | None, typer.Option(help="choose from so many of the likeliest", min=1, show_default="all")
    ] = None,
    top_p: Annotated[float, typer.Option(help="choose from the fewest of this probability", min=0.01, max=1)] = 0.95,
    repetition_penalty: Annotated[float, typer.Option(help="above 1: repeats less", min=1, max=10)] = 1.0,
    seed: Annotated[int | None, typer.Option(help="the same seed, the same text", show_default="chance")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="show the text as it is written")] = False,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Continue a text. Example: infer language_model "The list of" --stream --max-tokens 100"""
    if stream and as_json:
        raise typer.BadParameter("--stream shows the text as it is written: leave out --json")
    if prompt is None and sys.stdin.isatty():
        raise typer.BadParameter("there is no text: give how it begins as an argument or on standard input")
    begun = sys.stdin.read() if prompt is None else prompt
    writing = Writing(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    model = str(context.info_name)
    with connect() as client:
        if stream:
            print(begun, end="", flush=True)
            for bit in client.follow(continue_text_stream(begun, writing, model=model, version=version)):
                print(bit.text, end="", flush=True)
            print()
            return
        (found,) = client.perform(continue_text(begun, writing, model=model, version=version))
    if as_json:
        print(json.dumps({"prompt": begun, **asdict(found)}))
    elif found.error:
        print(f"infer: {found.error}", file=sys.stderr)
    else:
        print(begun + found.text)
    if found.error:
        raise typer.Exit(1)
