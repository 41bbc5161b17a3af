"""A page of your own in twenty lines, by Gradio on the Python client: `pip install gradio`, start `serve`, and run
`python examples/gradio_page.py localhost:8001 classifier`.
"""

import sys

import gradio

from services.client import Client


def make_page(client: Client, model: str) -> gradio.Interface:
    def classify(path: str) -> dict[str, float]:
        (found,) = client.classify(path, top=5, model=model)
        return {score.label: score.probability for score in found.top}

    return gradio.Interface(classify, gradio.Image(type="filepath"), gradio.Label(), title=model, api_name="classify")


if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        make_page(client, sys.argv[2]).launch()
