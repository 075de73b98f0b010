// The clips as the browser asks for them: tracks, events, counts, and how far two systems differ.

class Clips {
  constructor(wire, scores) {
    Object.assign(this, wire);
    this.names = this.systems.map((system) => system.name);
    this.short = shortNames(this.kinds.map(([name]) => name));
    this.scores = scores;
    this.firstTrack = running(this.nTracks);
    this.firstScore = running(this.nTracks.map((n, clip) => n * this.nFrames[clip]));
    const events = [...this.systems.map((system) => system.events), ...(this.references ? [this.references] : [])];
    for (const part of events) {
      const perClip = new Array(this.clips.length).fill(0);
      for (const clip of part.clip) perClip[clip]++;
      part.first = running(perClip);
    }
  }

  // Scores times 255 by class.
  tracks(clip) {
    const found = new Map();
    for (let track = this.firstTrack[clip]; track < this.firstTrack[clip + 1]; track++) {
      const start = this.firstScore[clip] + (track - this.firstTrack[clip]) * this.nFrames[clip];
      found.set(this.trackLabels[track], this.scores.subarray(start, start + this.nFrames[clip]));
    }
    return found;
  }

  events(system, clip) {
    return listed(this.systems[system].events, clip);
  }

  // References have a kind for each system: what was wrong with them there.
  referencesOf(clip) {
    return this.references ? listed(this.references, clip) : [];
  }

  // True positives, events and references; null where nothing is known.
  counts(system, clip) {
    return this.systems[system]?.counts?.map((column) => column[clip]) ?? null;
  }

  // Events and references without a partner.
  errors(system, clip) {
    const counts = this.counts(system, clip);
    return counts && counts[1] + counts[2] - 2 * counts[0];
  }

  // F1 over all clips.
  f1(system) {
    const [hits, events, references] = this.systems[system].counts.map((column) => column.reduce((sum, n) => sum + n, 0));
    return (2 * hits) / Math.max(events + references, 1);
  }

  // How many errors fewer the second makes; null where nothing is known.
  gain([a, b], clip) {
    return b === undefined || !this.counts(a, clip) || !this.counts(b, clip) ? null : this.errors(a, clip) - this.errors(b, clip);
  }

  // Clips by how much a pair differs: in errors, then in seconds that only one of them marks; of one system by its errors.
  ordered(pair) {
    const keys = this.clips.map((_, clip) => ({
      clip,
      errors: pair.length > 1 ? Math.abs(this.gain(pair, clip) ?? 0) : (this.errors(pair[0], clip) ?? 0),
      seconds: pair.length > 1 ? secondsApart(this.events(pair[0], clip), this.events(pair[1], clip)) : 0,
    }));
    keys.sort((one, other) => other.errors - one.errors || other.seconds - one.seconds || one.clip - other.clip);
    return keys.map((key) => key.clip);
  }

  // Whether one of a pair has such an event, or misses such a reference; -1 asks for any class or kind.
  has(clip, pair, label, kind) {
    if (label < 0 && kind < 0) return true;
    const fits = (event, found) => (label < 0 || event.label === label) && (kind < 0 || found === kind);
    return (
      pair.some((system) => this.events(system, clip).some((event) => fits(event, event.kind))) ||
      this.referencesOf(clip).some((event) => (kind < 0 ? fits(event) : pair.some((system) => fits(event, event.kinds?.[system]))))
    );
  }
}

const running = (counts) => {
  const starts = new Int32Array(counts.length + 1);
  counts.forEach((count, i) => (starts[i + 1] = starts[i] + count));
  return starts;
};

function listed(part, clip) {
  const found = [];
  for (let i = part.first[clip]; i < part.first[clip + 1]; i++) {
    const event = { label: part.label[i], onset: part.onset[i], offset: part.offset[i], confidence: part.confidence?.[i] ?? null };
    if (Array.isArray(part.kind?.[0])) event.kinds = part.kind.map((row) => row[i]);
    else event.kind = part.kind?.[i] ?? null;
    found.push(event);
  }
  return found;
}

function secondsApart(one, other) {
  const ends = [one, other].flatMap((events, side) =>
    events.flatMap(({ label, onset, offset }) => [[label, onset, side, 1], [label, offset, side, -1]]),
  );
  ends.sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  const open = [0, 0];
  let total = 0;
  let before = 0;
  for (const [, time, side, step] of ends) {
    if (open[0] > 0 !== open[1] > 0) total += time - before;
    open[side] += step;
    before = time;
  }
  return total;
}

// The shortest beginnings, of three letters or more, that tell names apart.
function shortNames(names) {
  return names.map((name) => {
    let length = 3;
    while (length < name.length && names.some((other) => other !== name && other.startsWith(name.slice(0, length)))) length++;
    return name.slice(0, length);
  });
}
