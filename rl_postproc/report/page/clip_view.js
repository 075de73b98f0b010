// The chosen clip: its figure with zoom, its sound with a cursor, and its events as a table.

class ClipView {
  constructor(clips) {
    this.clips = clips;
    this.drawing = byId("clip-drawing");
    this.cursor = byId("cursor");
    this.audio = null;
    const buttons = {
      "zoom-in": (mid, half) => [mid - half / 2, mid + half / 2],
      "zoom-out": (mid, half) => [mid - half * 2, mid + half * 2],
      "pan-left": (mid, half) => [mid - half * 2, mid],
      "pan-right": (mid, half) => [mid, mid + half * 2],
      "zoom-reset": () => [0, Infinity],
    };
    for (const [id, move] of Object.entries(buttons)) byId(id).addEventListener("click", () => this.zoom(move));
    byId("all-classes").addEventListener("change", () => this.draw());
    byId("clip-events").addEventListener("toggle", () => this.listEvents());
    this.watchClicks();
    redraws.set(this.drawing, () => this.draw());
    const observer = new ResizeObserver(() => this.placeCursor());
    observer.observe(this.drawing);
  }

  async show(clip, pair) {
    const other = clip !== this.clip;
    this.clip = clip;
    this.pair = pair;
    byId("clip-name").textContent = this.clips.clips[clip];
    byId("clip-counts").replaceChildren(...pair.map((system, side) => this.told(system, side)));
    this.listEvents();
    if (other) await this.load(clip);
    if (this.clip === clip) await this.draw();
  }

  told(system, side) {
    const counts = this.clips.counts(system, this.clip);
    const events = this.clips.events(system, this.clip).length;
    const text = counts ? `${counts[0]} of ${counts[2]} references found, ${counts[1]} events` : `${events} events`;
    const line = element("li");
    line.append(element("i", "", { class: `swatch ${"ab"[side]}` }), element("b", SIDES[side]), ` ${this.clips.names[system]}: ${text}`);
    return line;
  }

  async load(clip) {
    if (this.audio) {
      this.audio.pause();
      URL.revokeObjectURL(this.audio.src);
    }
    const box = byId("clip-audio");
    const sound = this.clips.sounds[clip];
    box.hidden = !sound;
    this.cursor.hidden = !sound;
    this.audio = this.pixels = null;
    if (!sound) return box.replaceChildren();
    const [data, pixels] = await Promise.all([unpack(`sound-${clip}`), unpack(`spectrogram-${clip}`)]);
    if (this.clip !== clip) return;
    this.pixels = pixels;
    this.audio = element("audio", "", { controls: "", preload: "metadata", "aria-label": `Sound of ${this.clips.clips[clip]}` });
    this.audio.src = URL.createObjectURL(new Blob([data], { type: sound.mime }));
    for (const name of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) this.audio.addEventListener(name, () => this.placeCursor());
    this.audio.addEventListener("play", () => this.follow());
    box.replaceChildren(this.audio);
  }

  async draw() {
    const { clip } = this;
    if (clip === undefined) return;
    const Plotly = await loadPlotly();
    // Keys that wait to be read may have chosen another clip already.
    await new Promise((resolve) => setTimeout(resolve));
    if (clip !== this.clip) return;
    const { data, layout, note } = clipFigure(this.clips, clip, this.pair, byId("all-classes").checked, this.pixels);
    byId("clip-note").textContent = note;
    const first = !this.drawing.dataset.clip;
    await Plotly.react(this.drawing, data, layout, { ...plotlyConfig, doubleClick: "reset" });
    if (first) this.drawing.on("plotly_relayout", () => this.placeCursor());
    this.drawing.dataset.clip = clip;
    this.placeCursor();
  }

  range() {
    return this.drawing.layout?.xaxis?.range ?? [0, this.clips.durations[this.clip]];
  }

  zoom(move) {
    const [from, to] = this.range();
    const longest = this.clips.durations[this.clip];
    const [low, high] = move((from + to) / 2, (to - from) / 2);
    const length = Math.min(Math.max(high - low, 0.05), longest);
    const start = Math.min(Math.max(low, 0), longest - length);
    window.Plotly?.relayout(this.drawing, { "xaxis.range": [start, start + length] });
  }

  // Pixels from the left of the figure, and back.
  across() {
    return this.drawing.clientWidth - MARGIN.l - MARGIN.r;
  }

  placeCursor() {
    if (!this.audio) return;
    const [from, to] = this.range();
    const share = (this.audio.currentTime - from) / (to - from);
    this.cursor.hidden = share < 0 || share > 1;
    this.cursor.style.transform = `translateX(${MARGIN.l + share * this.across()}px)`;
  }

  follow() {
    const step = () => {
      this.placeCursor();
      // Without motion the cursor moves by the player's own reports, a few times a second.
      if (this.audio && !this.audio.paused && !reducedMotion.matches) requestAnimationFrame(step);
    };
    step();
  }

  // A press and release in one place seeks; a drag zooms, which is plotly's.
  watchClicks() {
    let pressed = null;
    this.drawing.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]), true);
    addEventListener("pointerup", (event) => {
      if (!pressed || !this.audio || event.button) return;
      const still = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 4;
      pressed = null;
      const share = (event.clientX - this.drawing.getBoundingClientRect().left - MARGIN.l) / this.across();
      if (!still || share < 0 || share > 1) return;
      const [from, to] = this.range();
      this.audio.currentTime = from + share * (to - from);
      this.placeCursor();
    }, true);
  }

  listEvents() {
    const folded = byId("clip-events");
    if (!folded.open || this.clip === undefined) return;
    const { clips, clip, pair } = this;
    const rows = [...pair.map((system) => [clips.names[system], clips.events(system, clip)]), ["reference", clips.referencesOf(clip)]]
      .flatMap(([name, events]) => events.map((event) => [name, event]))
      .sort(([, one], [, other]) => one.onset - other.onset)
      .map(([name, event]) => {
        const time = (seconds) => [seconds, seconds.toFixed(2)];
        const sure = event.confidence === null ? null : [event.confidence, event.confidence.toFixed(2)];
        return [name, clips.classes[event.label], time(event.onset), time(event.offset), errorsOf(clips, pair, event).map((error) => error.name).join(", ") || null, sure];
      });
    const columns = [["system", "text"], ["class", "text"], ["onset (s)", "number"], ["offset (s)", "number"], ["error", "text"], ["confidence", "number"]];
    folded.querySelector(".table").replaceChildren(makeTable(`Events of ${clips.clips[clip]}`, columns, rows));
  }
}
