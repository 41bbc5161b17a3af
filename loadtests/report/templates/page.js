"use strict";
const root = document.documentElement;
const figures = JSON.parse(document.getElementById("figures").textContent);
const preferred = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function themed(layout) {
  const text = colour("--ink"), grid = colour("--grid"), card = colour("--card");
  const result = {
    margin: { l: 62, r: 18, t: 12, b: 50 },
    paper_bgcolor: card, plot_bgcolor: card,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: text },
    hoverlabel: { bgcolor: card, bordercolor: grid, font: { color: text } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, bgcolor: "rgba(0,0,0,0)" },
    ...layout,
  };
  for (const key of Object.keys(result)) {
    if (/^[xy]axis\d*$/.test(key)) {
      result[key] = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, ...result[key] };
      if (result[key].title) result[key].title.font = { color: colour("--dim"), size: 12 };
    }
  }
  if (result.height < 300) result.margin = { ...result.margin, t: 34 };
  return result;
}

function draw() {
  for (const [id, figure] of Object.entries(figures)) {
    const copy = structuredClone(figure);
    Plotly.react(id, copy.data, themed(copy.layout), { responsive: true, displaylogo: false, displayModeBar: false });
  }
}

function setTheme(name) {
  root.dataset.theme = name;
  draw();
}

document.getElementById("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
preferred.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
setTheme(preferred.matches ? "dark" : "light");
