// Charts, drawn by plotly when they come into view, in the colours of the page's theme.

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down"];
const HATCHES = ["", "/", "x", ".", "-", "\\", "+", "|"];
const MOST_ROWS = 500;

const plotlyConfig = { displayModeBar: false, responsive: true, showTips: false };
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const plotlyText = byId("plotly") && window.DecompressionStream ? unpackText("plotly") : null;
let plotlyLoaded = null;
let figures = [];
const redraws = new Map(); // from an element to what draws it again

function loadPlotly() {
  plotlyLoaded ??= (async () => {
    if (!plotlyText) {
      throw new Error(
        "Charts are not drawn, because plotly.min.js was missing where this report was written; " +
          "install the Python package plotly there again and write the report anew.",
      );
    }
    const program = element("script");
    program.textContent = await plotlyText;
    document.head.append(program);
    if (!window.Plotly) throw new Error("Charts are not drawn, because this browser did not run plotly.js; try another browser.");
    return window.Plotly;
  })();
  return plotlyLoaded;
}

// A custom property as a colour that plotly understands.
function colour(name) {
  const probe = element("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function themeTemplate() {
  const [text, muted, line, panel] = ["text", "muted", "line", "panel"].map(colour);
  const colorway = [1, 2, 3, 4, 5, 6].map((i) => colour(`series-${i}`));
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, tickcolor: line, tickfont: { color: muted }, automargin: true };
  const cycle = (make) => DASHES.map((_, i) => make(i));
  return {
    layout: {
      colorway, paper_bgcolor: panel, plot_bgcolor: panel, xaxis: axis, yaxis: axis,
      font: { family: "system-ui, sans-serif", size: 12, color: text },
      margin: { l: 56, r: 16, t: 24, b: 48 },
      // Where a finger scrolls, it does not zoom.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      hoverlabel: { bgcolor: panel, bordercolor: muted, font: { color: text }, align: "left", namelength: -1 },
      legend: { bgcolor: "rgba(0,0,0,0)", orientation: "h", y: 1.02, yanchor: "bottom", itemclick: false, itemdoubleclick: false },
    },
    data: {
      scatter: cycle((i) => ({ line: { dash: DASHES[i], width: 1.8 }, marker: { symbol: SYMBOLS[i], size: 7 } })),
      bar: cycle((i) => ({ marker: { pattern: { shape: HATCHES[i], solidity: 0.3, fillmode: "overlay", fgopacity: 0.75 }, line: { width: 0 } } })),
    },
  };
}

function startChart(box) {
  const all = Object.entries(figures[box.dataset.index]);
  const drawing = box.querySelector(".drawing");
  const select = box.querySelector("select");
  const folded = box.querySelector("details.data");
  const chosen = () => all[select ? select.selectedIndex : 0][1];
  const draw = async () => {
    const Plotly = await loadPlotly();
    const { data, layout = {} } = chosen();
    // Plotly writes into what it is given.
    const copy = structuredClone({ data, layout });
    copy.layout.template = themeTemplate();
    copy.layout.height ??= drawing.clientHeight || 380;
    await Plotly.react(drawing, copy.data, copy.layout, plotlyConfig);
    drawing.dataset.drawn = "yes";
  };
  const tell = () => {
    if (folded.open) folded.replaceChildren(folded.firstElementChild, dataTable(chosen().data));
  };
  select?.addEventListener("change", () => (draw(), tell()));
  folded.addEventListener("toggle", tell);
  redraws.set(box, draw);
  return draw();
}

// The points of a figure, for those who read rather than see.
function dataTable(traces) {
  const rows = [];
  for (const trace of traces) {
    const name = plain(trace.name ?? "");
    const [xs, ys] = [trace.x, trace.y].map((part) => (Array.isArray(part) ? part : null));
    if (Array.isArray(trace.z)) {
      trace.z.forEach((row, j) => [...row].forEach((z, i) => rows.push([name, plain(xs?.[i] ?? i), plain(ys?.[j] ?? j), z])));
    } else {
      for (let i = 0; i < Math.max(xs?.length ?? 0, ys?.length ?? 0); i++) {
        rows.push([name, plain(xs?.[i] ?? null), plain(ys?.[i] ?? null), null]);
      }
    }
  }
  const deep = rows.some((row) => row[3] !== null);
  const columns = [["series", "text"], ["x", "text"], ["y", "text"], ["value", "number"]].slice(0, deep ? 4 : 3);
  const shown = rows.slice(0, MOST_ROWS).map((row) => row.slice(0, columns.length));
  const box = element("div", "", { class: "table" });
  box.append(makeTable(rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${rows.length} points.` : "All points.", columns, shown));
  return box;
}

// Texts of figures are escaped for plotly.
const plain = (value) =>
  typeof value === "string" ? value.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&") : value;

function startCharts() {
  const boxes = [...document.querySelectorAll("figure.chart")];
  const waiting = new Set(boxes);
  const start = (box) => waiting.delete(box) && startChart(box).catch((error) => tellTrouble(error.message));
  const watch = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => (watch.unobserve(target), start(target))),
    { rootMargin: "300px" },
  );
  boxes.forEach((box) => watch.observe(box));
  addEventListener("beforeprint", () => waiting.forEach(start));
}

function startTheme() {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", dark);
    redraws.forEach((draw) => draw());
  };
  show(system.matches);
  system.addEventListener("change", () => show(system.matches));
  button.addEventListener("click", () => show(document.documentElement.dataset.theme !== "dark"));
}
