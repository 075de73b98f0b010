// Starts the page: tables at once, charts as they come into view, and the clips as the address asks for them.

const fill = (select, entries) => select?.append(...entries.map(([value, text]) => element("option", text, { value })));

function startBrowser(clips) {
  const view = new ClipView(clips);
  const chosen = () => ["system-a", "system-b"].map(byId).filter(Boolean).map((select) => Number(select.value));
  const list = new ClipList(clips, (clip) => {
    remember(clip);
    return view.show(clip, chosen()).catch((error) => tellTrouble(error.message));
  });
  const systems = clips.names.map((name, i) => [i, name]);
  const [a, b] = ["system-a", "system-b"].map(byId);
  fill(a, systems);
  fill(b, systems);
  fill(byId("by-class"), [[-1, "any"], ...clips.classes.map((name, i) => [i, name])]);
  fill(byId("by-kind"), [[-1, "any"], ...clips.kinds.map(([name], i) => [i, name])]);
  byId("kinds")?.append(...clips.kinds.flatMap(([name, text], i) => [element("dt", `${clips.short[i]} ${name}`), element("dd", text)]));

  const filter = () =>
    list.filter({
      label: Number(byId("by-class").value),
      kind: Number(byId("by-kind")?.value ?? -1),
      gain: byId("by-gain")?.value ?? "",
      text: byId("by-text").value,
    });
  let pair = [];
  const compare = () => {
    list.compare((pair = chosen()));
    filter();
  };
  for (const id of ["by-class", "by-kind", "by-gain", "by-text"]) byId(id)?.addEventListener("input", filter);
  [[a, b], [b, a]].forEach(([select, other], side) => {
    select?.addEventListener("change", () => {
      // One system is not compared with itself: the two change places.
      if (other && other.value === select.value) other.value = pair[side];
      compare();
      if (list.current !== null) list.choose(list.current);
    });
  });

  let remembering = false;
  function remember(clip) {
    if (!remembering) return;
    const state = new URLSearchParams({ clip: clips.clips[clip] });
    for (const [key, select] of [["a", a], ["b", b]]) if (select) state.set(key, clips.names[select.value]);
    history.replaceState(null, "", `#${state}`);
  }
  // Returns the clip that the address names, after choosing its systems.
  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    const clip = clips.clips.indexOf(state.get("clip"));
    for (const [key, select] of [["a", a], ["b", b]]) {
      const system = clips.names.indexOf(state.get(key));
      if (clip >= 0 && select && system >= 0) select.value = system;
    }
    return clip;
  }
  async function restore(first) {
    if (first && b) b.value = bestOther(clips);
    const clip = recall();
    if (clip < 0 && !first) return;
    compare();
    const opened = clip >= 0 ? clip : list.shown[0];
    if (clip >= 0) byId("clips-heading").scrollIntoView({ behavior: "instant" });
    if (opened !== undefined) await list.choose(opened);
  }
  addEventListener("hashchange", () => restore(false));
  const done = restore(true);
  remembering = true;
  return done;
}

// The system with the best F1 beside the first one.
function bestOther(clips) {
  const others = clips.names.map((_, system) => system).slice(1);
  if (!others.length || !clips.counts(0, 0)) return 1;
  return others.reduce((best, system) => (clips.f1(system) > clips.f1(best) ? system : best));
}

async function start() {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  startTheme();
  if (!window.DecompressionStream) {
    throw new Error("Charts and clips are not shown, because this browser cannot unpack them; open the report in a browser of 2023 or later.");
  }
  figures = await unpackJson("figures");
  startCharts();
  if (byId("clip-list")) {
    const [wire, scores] = await Promise.all([unpackJson("clips"), unpack("scores")]);
    await startBrowser(new Clips(wire, scores));
  }
}

start()
  .catch((error) => tellTrouble(error.message))
  .finally(() => (document.documentElement.dataset.ready = Math.round(performance.now())));
