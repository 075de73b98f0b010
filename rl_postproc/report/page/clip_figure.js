// The figure of a clip: its spectrogram, then for each class the score track over lanes of bars, all on one axis of time.

const SIDES = ["A", "B"];
const THRESHOLD_DASHES = ["dash", "dot"];
const MARGIN = { l: 76, r: 58, t: 8, b: 40 };
const ROW = { title: 20, track: 64, lane: 19, gap: 12, spectrogram: 120 };
const MOST_CLASSES = 40;
const MOST_POINTS = 5000;
const SHOWN_FROM = 0.5 * 255;

const forPlotly = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

// The classes to be drawn and how many there are: those with an event or a high score, or all.
function drawnClasses(clips, clip, pair, all) {
  const tracks = clips.tracks(clip);
  const top = clips.classes.map((_, label) => (tracks.get(label) ?? []).reduce((high, score) => Math.max(high, score), -1));
  const marked = new Set([clips.referencesOf(clip), ...pair.map((system) => clips.events(system, clip))].flat().map((event) => event.label));
  const labels = clips.classes.map((_, label) => label).filter((label) => all || marked.has(label) || top[label] >= SHOWN_FROM);
  const kept = new Set([...labels].sort((p, q) => marked.has(q) - marked.has(p) || top[q] - top[p]).slice(0, MOST_CLASSES));
  return { labels: labels.filter((label) => kept.has(label)), total: labels.length };
}

// The errors of an event, each in short, by name and in words; of a reference what each of the pair made of it.
function errorsOf(clips, pair, event) {
  const found = event.kinds ? pair.map((system, side) => [`${SIDES[side]} `, event.kinds[system]]) : [["", event.kind]];
  return found
    .filter(([, kind]) => clips.kinds[kind])
    .map(([side, kind]) => {
      const [name, words] = clips.kinds[kind];
      return { side, short: clips.short[kind], name: side + name, words: `${side}${name}: ${words}` };
    });
}

// Of a reference that both get wrong in the same way: AB and the kind.
function inShort(wrong) {
  const kinds = new Set(wrong.map(({ short }) => short));
  if (wrong.length > 1 && kinds.size === 1) return `${SIDES.join("")} ${wrong[0].short}`;
  return wrong.map(({ side, short }) => side + short).join(" · ");
}

// One trace of bars for all classes: rows are those of `layRows`.
function barTrace(clips, pair, lanes, rows, theme) {
  const drawn = rows.flatMap(({ label, lanes: tops }) =>
    lanes.flatMap(({ events, name, paint }, lane) =>
      events.filter((event) => event.label === label).map((event) => {
        const wrong = errorsOf(clips, pair, event);
        const short = inShort(wrong);
        const sure = event.confidence === null ? [] : [`confidence ${event.confidence}`];
        const told = [`${clips.classes[label]}, ${name}`, `${event.onset.toFixed(2)} to ${event.offset.toFixed(2)} s`, ...wrong.map(({ words }) => words), ...sure];
        return { event, short, paint, at: -tops[lane], told: told.map(forPlotly).join("<br>") };
      }),
    ),
  );
  const each = (get) => drawn.map(get);
  const paints = each(({ paint }) => paint);
  return {
    type: "bar", orientation: "h", width: ROW.lane * 0.76, base: each(({ event }) => event.onset),
    x: each(({ event }) => event.offset - event.onset), y: each(({ at }) => at),
    text: each(({ short }) => short && `<b>${forPlotly(short)}</b>`), textposition: "inside", insidetextanchor: "start", constraintext: "none", textangle: 0,
    textfont: { size: 10.5, color: theme.text }, cliponaxis: false,
    hovertext: each(({ told }) => told), hovertemplate: "%{hovertext}<extra></extra>",
    marker: {
      color: paints, line: { color: paints, width: 1.3 },
      pattern: { shape: each(({ short }) => (short ? "/" : "")), fillmode: "replace", fgcolor: paints, bgcolor: theme.panel, size: 9, solidity: 0.15 },
    },
  };
}

// The score tracks of all rows as one line with gaps, and what is under them.
function trackTraces(rows, step, theme) {
  const line = { x: [], y: [], text: [] };
  const area = { x: [], y: [] };
  for (const { scores, track } of rows.filter((row) => row.scores)) {
    const every = Math.ceil(scores.length / MOST_POINTS);
    const times = Array.from({ length: Math.ceil(scores.length / every) }, (_, i) => Math.round(i * every * step * 1e4) / 1e4);
    const shares = times.map((_, i) => Math.max(...scores.subarray(i * every, (i + 1) * every)) / 255);
    times.push(Math.round(scores.length * step * 1e4) / 1e4);
    shares.push(shares[shares.length - 1]);
    const heights = shares.map((share) => share * ROW.track - track);
    line.x.push(...times, null);
    line.y.push(...heights, null);
    line.text.push(...shares.map((share, frame) => `${share.toFixed(2)} at ${times[frame].toFixed(2)} s`), "");
    area.x.push(0, ...times, times[times.length - 1], 0, null);
    area.y.push(-track, ...heights, -track, -track, null);
  }
  const common = { type: "scatter", mode: "lines", connectgaps: false };
  return [
    { ...common, ...area, line: { shape: "hv", width: 0, dash: "solid" }, fill: "toself", fillcolor: theme.fill, hoverinfo: "skip" },
    { ...common, ...line, line: { shape: "hv", width: 1.3, color: theme.track, dash: "solid" }, hovertemplate: "score %{text}<extra></extra>" },
  ];
}

function spectrogramTrace({ bands, columns }, pixels, duration, theme) {
  const dy = ROW.spectrogram / bands;
  return {
    type: "heatmap", showscale: false, zmin: 0, zmax: 255, zsmooth: "fast", hoverinfo: "skip",
    z: Array.from({ length: bands }, (_, band) => Array.from(pixels.subarray(band * columns, (band + 1) * columns))),
    x0: duration / columns / 2, dx: duration / columns, y0: dy / 2 - ROW.spectrogram, dy, colorscale: [[0, theme.panel], [1, theme.text]],
  };
}

function frequencyTicks({ top, scale }) {
  const place = scale === "mel" ? (hertz) => Math.log10(1 + hertz / 700) : (hertz) => hertz;
  return [250, 500, 1000, 2000, 4000, 8000, 16000]
    .filter((hertz) => hertz <= top && place(hertz) / place(top) > 0.12)
    .map((hertz) => [(place(hertz) / place(top) - 1) * ROW.spectrogram, hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`]);
}

// Where rows are, in pixels from the top: their title, the foot of their track, the middle of each lane.
function layRows(labels, tracks, nLanes, from) {
  let at = from;
  const rows = labels.map((label) => {
    const scores = tracks.get(label)?.length ? tracks.get(label) : null;
    const title = at;
    const track = at + ROW.title + (scores ? ROW.track : 0);
    const lanes = Array.from({ length: nLanes }, (_, lane) => track + 4 + ROW.lane * (lane + 0.5));
    at = track + 4 + ROW.lane * nLanes + ROW.gap;
    return { label, scores, title, track, lanes };
  });
  return { rows, height: Math.max(at, 40) };
}

// Returns plotly's data and layout, and what is to be said beside the figure. One unit of its upright axis is one pixel, so
// that any number of rows makes one subplot: plotly takes most of its time for subplots.
function clipFigure(clips, clip, pair, all, pixels) {
  const theme = Object.fromEntries(["text", "muted", "line", "panel", "track", "fill", "a", "b", "reference"].map((name) => [name, colour(name)]));
  const paints = [theme.a, theme.b];
  const duration = clips.durations[clip];
  const sound = pixels && clips.sounds[clip];
  const { labels, total } = drawnClasses(clips, clip, pair, all);
  const lanes = pair.map((system, side) => ({
    tick: SIDES[side], name: `${SIDES[side]} ${clips.names[system]}`, events: clips.events(system, clip), paint: paints[side],
  }));
  if (clips.references) lanes.unshift({ tick: "reference", name: "reference", events: clips.referencesOf(clip), paint: theme.reference });
  const { rows, height } = layRows(labels, clips.tracks(clip), lanes.length, sound ? ROW.spectrogram + ROW.gap : 0);

  const ticks = sound ? frequencyTicks(sound) : [];
  const [shapes, annotations] = [[], []];
  const across = (y, line) => shapes.push({ type: "line", layer: "below", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line });
  const write = (text, y, more) => annotations.push({ text, y, xref: "paper", showarrow: false, font: { size: 12 }, ...more });
  for (const { label, scores, title, track, lanes: middles } of rows) {
    write(`<b>${forPlotly(clips.classes[label])}</b>`, -title, { x: 0, xanchor: "left", yanchor: "top" });
    lanes.forEach(({ tick }, lane) => ticks.push([-middles[lane], tick]));
    if (!scores) continue;
    for (const share of [0, 0.5, 1]) {
      ticks.push([share * ROW.track - track, share]);
      across(share * ROW.track - track, { color: theme.line, width: 1 });
    }
    const levels = pair.map((system) => clips.systems[system].chosen?.[label] ?? null);
    levels.forEach((level, side) => {
      if (level === null) return;
      // Of two the higher one is named above its line.
      const above = levels.length < 2 || level > (levels[1 - side] ?? 0) || (level === levels[1 - side] && !side);
      const y = level * ROW.track - track;
      across(y, { color: paints[side], width: 1.6, dash: THRESHOLD_DASHES[side] });
      write(`${SIDES[side]} ${level.toFixed(2)}`, y, { x: 1, xanchor: "left", yanchor: above ? "bottom" : "top", xshift: 2, font: { size: 10.5 } });
    });
  }
  const data = [...trackTraces(rows, clips.steps[clip], theme), barTrace(clips, pair, lanes, rows, theme)];
  if (sound) data.unshift(spectrogramTrace(sound, pixels, duration, theme));
  const layout = {
    template: themeTemplate(), height: height + MARGIN.t + MARGIN.b, margin: MARGIN, barmode: "overlay", hovermode: "closest",
    shapes, annotations, showlegend: false,
    xaxis: { range: [0, duration], minallowed: 0, maxallowed: duration, automargin: false, title: { text: "time (s)", standoff: 6 }, zeroline: false },
    yaxis: {
      range: [-height, 0], fixedrange: true, ticklabelstandoff: 4, automargin: false, zeroline: false, showgrid: false,
      tickvals: ticks.map(([at]) => at), ticktext: ticks.map(([, text]) => text),
    },
  };
  return { data, layout, note: figureNote(clips, clip, labels.length, total) };
}

function figureNote(clips, clip, shown, total) {
  const told = [];
  if (!shown) told.push("No class has an event or a score above 0.5 here; tick “all classes” to see the scores.");
  if (shown < total) told.push(`The ${shown} of ${total} classes with events or the highest scores are drawn.`);
  if (clips.nFrames[clip] > MOST_POINTS) {
    told.push(`Each point of a score is the highest of ${Math.ceil(clips.nFrames[clip] / MOST_POINTS)} frames.`);
  }
  if (clips.floor > 0 && clips.nTracks[clip] < clips.classes.length) told.push(`Scores of classes that stay below ${clips.floor} are not kept.`);
  return told.join(" ");
}
