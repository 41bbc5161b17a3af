const root = document.documentElement, preferred = matchMedia("(prefers-color-scheme: dark)");
const setTheme = (name) => { root.dataset.theme = name; };
document.getElementById("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
preferred.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
setTheme(preferred.matches ? "dark" : "light");
