"""One self-contained HTML page with all figures and pictures of a run."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from training.beamformer.figures import Figure

_PICTURES = {
    "csi_curves.png": "Spectral efficiency against CSI SNR",
    "data_curves.png": "Spectral efficiency against data SNR",
    "beam_patterns.png": "Beam patterns of one channel's first stream",
    "spectra.png": "Singular-value spectra",
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd }
td { text-align: right } td:first-child, th { text-align: left } tr.network { font-weight: 600 }
small { color: #777; font-weight: 400 } img { max-width: 100% }
"""


def write_page(run: Path, dataset: str, figures: list[Figure]) -> Path:
    """Write index.html into the run's folder and return its path."""
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Beamformer</title><style>{_STYLE}</style>",
        "<h1>Beamformer</h1>",
        f"<p>{escape(dataset)}. Percent of the fully digital optimum's spectral efficiency with 95 % intervals; "
        "differences are network minus method, paired.</p>",
    ]
    for setting in dict.fromkeys(figure.setting for figure in figures):
        parts.append(f"<h2>{escape(setting)}</h2>")
        parts.append(_format_table([figure for figure in figures if figure.setting == setting]))
    for name, title in _PICTURES.items():
        data = base64.b64encode((run / name).read_bytes()).decode()
        parts.append(f"<h2>{title}</h2><img alt='{title}' src='data:image/png;base64,{data}'>")
    page = run / "index.html"
    page.write_text("\n".join(parts) + "</html>\n")
    return page


def _format_table(figures: list[Figure]) -> str:
    columns = list(dict.fromkeys((figure.csi_snr_db, figure.data_snr_db) for figure in figures))
    cells = {(figure.method, figure.csi_snr_db, figure.data_snr_db): figure for figure in figures}
    head = "".join(f"<th>{_name_level(csi)}<br>data {data:g} dB</th>" for csi, data in columns)
    rows = []
    for method in dict.fromkeys(figure.method for figure in figures):
        values = "".join(f"<td>{_format_figure(cells.get((method, *column)))}</td>" for column in columns)
        kind = " class='network'" if method == "network" else ""
        rows.append(f"<tr{kind}><td>{escape(method)}</td>{values}</tr>")
    return f"<table><tr><th>method</th>{head}</tr>{''.join(rows)}</table>"


def _name_level(csi_snr_db: float | None) -> str:
    return "exact CSI" if csi_snr_db is None else f"CSI {csi_snr_db:g} dB"


def _format_figure(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    low, high = figure.interval
    text = f"{figure.percent:.2f} <small>±{(high - low) / 2:.2f}</small>"
    if figure.network_minus_method is not None:
        difference, low, high = figure.network_minus_method
        text += f"<br><small>{difference:+.2f} [{low:+.2f}, {high:+.2f}]</small>"
    return text
