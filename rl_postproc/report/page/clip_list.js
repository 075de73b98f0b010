// The list of clips: what it shows of each, the filters, and the keys that step through it.

class ClipList {
  constructor(clips, open) {
    this.clips = clips;
    this.box = byId("clip-list");
    this.open = open;
    this.shown = [];
    this.current = null;
    this.options = clips.clips.map((name, clip) => {
      const option = element("li", "", { role: "option", id: `clip-${clip}`, "aria-selected": "false" });
      option.append(element("span", name), element("span"), element("span"), element("span"));
      option.addEventListener("click", () => this.choose(clip));
      return option;
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
    byId("browser").addEventListener("keydown", (event) => this.key(event, true));
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
  }

  // Orders the list anew and writes what the pair makes of each clip.
  compare(pair) {
    this.pair = pair;
    this.order = this.clips.ordered(pair);
    const judged = pair.length > 0 && this.clips.counts(pair[0], 0) !== null;
    const heads = byId("browser").querySelectorAll(".heads span");
    heads[1].textContent = pair.length ? (judged ? "A errors" : "A events") : "";
    heads[2].textContent = pair.length > 1 ? (judged ? "B errors" : "B events") : "";
    heads[3].textContent = pair.length > 1 && judged ? "gain" : "";
    this.options.forEach((option, clip) => {
      const [, a, b, gain] = option.children;
      [a, b].forEach((box, side) => {
        const system = pair[side];
        box.textContent = system === undefined ? "" : judged ? this.clips.errors(system, clip) : this.clips.events(system, clip).length;
      });
      const fewer = this.clips.gain(pair, clip);
      gain.textContent = fewer === null ? "" : fewer > 0 ? `▲ ${fewer}` : fewer < 0 ? `▼ ${-fewer}` : "=";
      gain.className = fewer ? "" : "same";
      const told = [a, b, gain].map((box, i) => box.textContent && `${heads[i + 1].textContent} ${i < 2 ? box.textContent : fewer}`);
      option.setAttribute("aria-label", [this.clips.clips[clip], ...told.filter(Boolean)].join(", "));
    });
  }

  filter({ label, kind, gain, text }) {
    const { clips, pair } = this;
    const wanted = text.toLowerCase();
    const fits = { "": () => true, better: (n) => n > 0, worse: (n) => n < 0, same: (n) => n === 0 }[gain];
    this.shown = this.order.filter(
      (clip) => clips.clips[clip].toLowerCase().includes(wanted) && fits(clips.gain(pair, clip)) && clips.has(clip, pair, label, kind),
    );
    this.box.replaceChildren(...this.shown.map((clip) => this.options[clip]));
    byId("count").textContent = `${this.shown.length} of ${clips.clips.length} clips`;
    this.mark(this.current);
  }

  mark(clip) {
    if (this.current !== null) this.options[this.current].setAttribute("aria-selected", "false");
    this.current = clip;
    if (clip !== null) this.options[clip].setAttribute("aria-selected", "true");
    const place = this.shown.indexOf(clip);
    if (place >= 0) this.box.setAttribute("aria-activedescendant", `clip-${clip}`);
    else this.box.removeAttribute("aria-activedescendant");
    byId("previous").disabled = !this.shown.length || place === 0;
    byId("next").disabled = !this.shown.length || place === this.shown.length - 1;
  }

  choose(clip) {
    this.mark(clip);
    const option = this.options[clip];
    if (option.isConnected) {
      // Scrolls the list alone, not the page.
      const top = option.offsetTop - this.box.offsetTop;
      const under = top + option.offsetHeight - this.box.clientHeight;
      if (this.box.scrollTop > top) this.box.scrollTop = top;
      else if (this.box.scrollTop < under) this.box.scrollTop = under;
    }
    return this.open(clip);
  }

  step(by) {
    if (!this.shown.length) return;
    const place = this.shown.indexOf(this.current);
    this.choose(this.shown[Math.min(Math.max(place < 0 ? 0 : place + by, 0), this.shown.length - 1)]);
  }

  // j and k work anywhere among the clips but where text is written; the other keys in the list alone.
  key(event, anywhere = false) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, audio")) return;
    const far = this.shown.length;
    const steps = anywhere ? { j: 1, k: -1 } : { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -far, End: far };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.step(steps[event.key]);
  }
}
