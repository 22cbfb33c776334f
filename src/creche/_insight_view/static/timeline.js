// The timeline: the states of the tasks in the rows that can be seen, on one canvas. Owns the drawing.

import {placeOf} from "./model.js";

export const TOP = 22; // height of the axis
const STATES = ["running", "ready", "waiting", "cancelling", "shielded"];
const STEPS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", {alpha: false});
    this.readColours();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    this.colours = {
      ground: get("--surface"), line: get("--line"), text: get("--soft"), accent: get("--accent"), chosen: get("--accent-soft"),
      running: get("--accent"), ready: get("--ready"), waiting: get("--waiting"), cancelling: get("--cancelling"),
    };
    this.colours.shielded = this.#stripes();
  }

  #stripes() {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const context = tile.getContext("2d");
    context.fillStyle = this.colours.ground;
    context.fillRect(0, 0, 6, 6);
    context.strokeStyle = this.colours.cancelling;
    context.lineWidth = 2;
    for (const shift of [-6, 0, 6]) {
      context.beginPath();
      context.moveTo(shift - 1, 7);
      context.lineTo(shift + 7, -1);
      context.stroke();
    }
    return this.context.createPattern(tile, "repeat");
  }

  /** Draw. `view` has from, to, now, rows, first (a number of pixels), height of a row, chosen. */
  draw(model, view, width, height) {
    const {canvas, context} = this;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = this.colours.ground;
    context.fillRect(0, 0, width, height);
    if (!(view.to > view.from) || width < 10) return;
    this.x = (t) => ((t - view.from) / (view.to - view.from)) * width;
    this.#grid(view, width, height);
    const begin = Math.max(0, Math.floor((view.scrolled - TOP) / view.rowHeight));
    const end = Math.min(view.rows.length, Math.ceil((view.scrolled + height) / view.rowHeight));
    for (let place = begin; place < end; place++) {
      const y = TOP + place * view.rowHeight - view.scrolled;
      this.#row(model, view, view.rows[place], y, width, place === view.chosen);
    }
    this.#axis(view, width, height);
  }

  #row(model, view, row, y, width, chosen) {
    if (chosen) {
      this.context.fillStyle = this.colours.chosen;
      this.context.fillRect(0, y, width, view.rowHeight);
    }
    if (row.ids.length === 1) this.#bar(model.tasks.get(row.ids[0]), view, y, width);
    else if (row.ids.length) this.#shares(row.ids.map((id) => model.tasks.get(id)), view, y, width);
  }

  #bar(task, view, y, width) {
    const margin = 6;
    for (const [state, from, to] of segments(task, view)) {
      const left = Math.max(0, this.x(from));
      const right = Math.min(width, this.x(to));
      this.context.fillStyle = this.colours[state] ?? this.colours.waiting;
      this.context.fillRect(left, y + margin, Math.max(right - left, 1), view.rowHeight - 2 * margin);
    }
  }

  /** A fold: at each moment, how many of its tasks are in which state. */
  #shares(tasks, view, y, width) {
    const columns = Math.max(1, Math.floor(width / 3));
    const perColumn = (view.to - view.from) / columns;
    const changes = STATES.map(() => new Int32Array(columns + 1));
    for (const task of tasks) {
      for (const [state, from, to] of segments(task, view)) {
        const begin = Math.max(0, Math.floor((from - view.from) / perColumn));
        const change = changes[Math.max(0, STATES.indexOf(state))];
        change[Math.min(begin, columns)] += 1;
        change[Math.min(Math.max(begin + 1, Math.ceil((to - view.from) / perColumn)), columns)] -= 1;
      }
    }
    const counts = STATES.map(() => 0);
    const margin = 4;
    const full = view.rowHeight - 2 * margin;
    const step = width / columns;
    for (let column = 0; column < columns; column++) {
      STATES.forEach((_, place) => (counts[place] += changes[place][column]));
      let bottom = y + margin + full;
      STATES.forEach((state, place) => {
        if (!counts[place]) return;
        const part = Math.max((counts[place] / tasks.length) * full, 1);
        this.context.fillStyle = this.colours[state];
        this.context.fillRect(column * step, bottom - part, step + 0.5, part);
        bottom -= part;
      });
    }
  }

  #grid(view, width, height) {
    const wanted = (view.to - view.from) / Math.max(2, width / 110);
    const step = STEPS.find((each) => each >= wanted) ?? STEPS.at(-1);
    this.digits = Math.max(0, Math.ceil(-Math.log10(step)));
    this.ticks = [];
    this.context.fillStyle = this.colours.line;
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      this.ticks.push(t);
      this.context.fillRect(this.x(t), TOP, 1, height);
    }
  }

  #axis(view, width, height) {
    const {context} = this;
    context.fillStyle = this.colours.ground;
    context.fillRect(0, 0, width, TOP - 1);
    context.fillStyle = this.colours.line;
    context.fillRect(0, TOP - 1, width, 1);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = this.colours.text;
    for (const t of this.ticks) if (this.x(t) < width - 50) context.fillText(clock(t, this.digits), this.x(t) + 5, TOP / 2);
    context.fillStyle = this.colours.accent;
    context.fillRect(Math.min(this.x(view.now), width - 1.5), 0, 1.5, height);
  }
}

/** The states of a task that can be seen, each with its begin and its end. */
export function* segments(task, view) {
  const versions = task.versions;
  const end = task.gone ?? view.last;
  for (let place = Math.max(0, placeOf(versions, view.from)); place < versions.length; place++) {
    let to = versions[place + 1]?.t ?? end;
    const {state, t} = versions[place];
    while (versions[place + 1]?.state === state) {
      place += 1;
      to = versions[place + 1]?.t ?? end;
    }
    if (t >= view.to) return;
    if (to > view.from) yield [state, t, to];
  }
}

/** A time of day, with some digits after the second. */
export function clock(t, digits = 0) {
  const time = new Date(t * 1000).toLocaleTimeString([], {hour12: false});
  return digits ? time + (t - Math.floor(t)).toFixed(digits).slice(1) : time;
}
