// What the program did: every task with its versions over time. Owns the data; knows no page.
//
// Messages come from `changes.py`. A version of a task holds from its time `t` until the next one's, or
// until the task is gone.

const KEPT = 15 * 60; // seconds of a live program
const NO_FRAME = {t: 0, loops: [], workers: [], circles: [], lints: [], services: [], missing: ""};
const WHOLE = Object.keys(NO_FRAME).slice(1); // what messages tell as a whole

export class Model {
  constructor() {
    this.tasks = new Map(); // id: {id, versions, gone}
    this.scopes = new Map(); // id: versions
    this.resources = new Map();
    this.frames = [];
    this.program = null;
    this.first = null;
    this.last = null;
    this.end = "";
    this.silent = "";
    this.recorded = false;
  }

  apply(message) {
    const t = message.t;
    if (this.last !== null && t < this.last) return;
    this.first ??= t;
    this.last = t;
    this.silent = message.silent ?? "";
    if (message.end !== undefined) this.end = message.end;
    if (message.recorded) this.recorded = true;
    if (message.program) this.program = message.program;
    if (message.history) this.#load(message);
    if (message.silent || message.end !== undefined || message.history) return;
    if (message.full) this.#endOthers(message.tasks ?? [], t);
    for (const each of message.tasks ?? []) this.#add(each, t);
    for (const id of message.gone ?? []) this.#end(id, t);
    for (const each of message.scopes ?? []) push(this.scopes, each, t);
    for (const each of message.resources ?? []) this.resources.set(each.id, each);
    for (const [id, busy, steps] of message.figures ?? []) {
      const task = this.tasks.get(id);
      if (task) Object.assign(task, {busy, steps});
    }
    const before = this.frames.at(-1) ?? NO_FRAME;
    if (WHOLE.some((key) => message[key] !== undefined)) {
      const frame = {t};
      for (const key of WHOLE) frame[key] = message[key] ?? before[key];
      this.frames.push(frame);
    }
    if (message.full && !this.recorded) this.#forget(t - KEPT);
  }

  /** Take a whole recording. */
  #load(message) {
    this.first = message.begin;
    for (const task of message.history) this.tasks.set(task.id, task);
    for (const scope of message.scopes) push(this.scopes, scope, scope.t);
    for (const each of message.resources) this.resources.set(each.id, each);
    this.frames = message.frames;
  }

  #add(each, t) {
    const known = this.tasks.get(each.id);
    if (known === undefined) {
      this.tasks.set(each.id, {id: each.id, versions: [{...each, t}], gone: null});
    } else if (JSON.stringify({...known.versions.at(-1), t: 0}) !== JSON.stringify({...each, t: 0})) {
      known.versions.push({...each, t});
      known.gone = null;
    }
  }

  #end(id, t) {
    const task = this.tasks.get(id);
    if (task && task.gone === null) task.gone = t;
  }

  #endOthers(tasks, t) {
    const there = new Set(tasks.map((each) => each.id));
    for (const id of this.tasks.keys()) if (!there.has(id)) this.#end(id, t);
  }

  #forget(before) {
    if (this.first >= before) return;
    this.first = before;
    for (const task of this.tasks.values()) {
      if (task.gone !== null && task.gone < before) this.tasks.delete(task.id);
      else task.versions.splice(0, Math.max(placeOf(task.versions, before), 0));
    }
    this.frames.splice(0, Math.max(placeOf(this.frames, before), 0));
  }

  /** What there was at a time. */
  at(t) {
    const tasks = new Map();
    for (const task of this.tasks.values()) {
      if (task.gone !== null && task.gone <= t) continue;
      const version = task.versions[placeOf(task.versions, t)];
      if (version) tasks.set(task.id, version);
    }
    const frame = this.frames[placeOf(this.frames, t)] ?? NO_FRAME;
    return new Moment(this, t, tasks, frame);
  }
}

function push(table, each, t) {
  const versions = table.get(each.id);
  if (versions === undefined) table.set(each.id, [{...each, t}]);
  else versions.push({...each, t});
}

/** The place of the last version that began at or before a time; -1 if there is none. */
export function placeOf(versions, t) {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (versions[middle].t <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class Moment {
  constructor(model, t, tasks, frame) {
    Object.assign(this, frame, {model, t, tasks});
    this.serviceOf = new Map(frame.services.map((each) => [each.task, each]));
    this.stuck = new Set(frame.circles.flat());
    this.below = new Map();
    for (const task of tasks.values()) {
      const parent = task.parent !== null && tasks.has(task.parent) ? task.parent : `loop ${task.loop}`;
      const siblings = this.below.get(parent);
      if (siblings) siblings.push(task);
      else this.below.set(parent, [task]);
    }
    for (const siblings of this.below.values()) siblings.sort((a, b) => a.id - b.id);
  }

  name(id) {
    return this.tasks.get(id)?.name ?? "a task that has ended";
  }

  scopes(task) {
    const found = [];
    for (const id of task.scopes ?? []) {
      const versions = this.model.scopes.get(id) ?? [];
      const version = versions[placeOf(versions, this.t)] ?? versions[0];
      if (version) found.push(version);
    }
    return found;
  }

  /** Why a task is being cancelled, and when the nearest deadline around it ends its wait. */
  cancel(task) {
    let deadline = null;
    for (const scope of this.scopes(task)) {
      if (scope.state === "cancelled") return {cancelled: true, reason: scope.reason ?? "", deadline: null};
      if (scope.deadline !== null && (deadline === null || scope.deadline < deadline)) deadline = scope.deadline;
      if (scope.shield) break;
    }
    return {cancelled: false, reason: "", deadline};
  }

  /** What a task does, in the words of the terminal; of a service, how often it was restarted too. */
  doing(task) {
    const [, ...told] = (this.serviceOf.get(task.id)?.text ?? "").split(", ");
    return [this.#waiting(task), ...told].join(", ");
  }

  #waiting(task) {
    if (task.state === "running") return "running";
    const {reason, deadline} = this.cancel(task);
    const because = reason ? ` (${reason})` : "";
    if (!task.wait || task.state === "ready") return task.state + because;
    let what = task.wait.what;
    if (task.wait.tasks) {
      what = `${what.startsWith("started()") ? "started() from" : "the end of"} ${fold(task.wait.tasks.map((id) => this.name(id)))}`;
    }
    let text = `waiting for ${what}`;
    if (task.wait.holders) text += `, held by ${fold(task.wait.holders.map((id) => this.name(id)))}`;
    if (task.state !== "waiting") text = `${task.state}, ${text}`;
    if (deadline !== null && deadline > this.t) text += `, ${duration(deadline - this.t)} left`;
    return text + because;
  }

  /** The tasks from one that waits to what holds it up in the end: itself first. */
  chain(id) {
    const chain = [];
    const seen = new Set();
    let next = id;
    while (next !== undefined && this.tasks.has(next) && !seen.has(next)) {
      seen.add(next);
      chain.push(next);
      next = this.#needs(this.tasks.get(next));
    }
    return {chain, circle: next !== undefined && seen.has(next)};
  }

  #needs(task) {
    if (task.state === "running" || task.state === "ready") return undefined;
    const needed = (task.wait?.holders ?? task.wait?.tasks ?? []).filter((id) => this.tasks.has(id));
    return (
      needed.find((id) => this.stuck.has(id)) ??
      needed.find((id) => this.tasks.get(id).wait?.holders) ??
      needed[0]
    );
  }

  /** What is waited for: name, kind, holders and waiters, the most waited for first. */
  resources() {
    const found = new Map();
    for (const task of this.tasks.values()) {
      const id = task.wait?.resource;
      if (id === undefined) continue;
      let entry = found.get(id);
      if (entry === undefined) {
        const known = this.model.resources.get(id);
        entry = {id, name: known?.name ?? task.wait.what, kind: known?.kind ?? "", holders: task.wait.holders ?? [], waiters: []};
        found.set(id, entry);
      }
      entry.waiters.push(task.id);
    }
    return [...found.values()].sort((a, b) => b.waiters.length - a.waiters.length || a.id - b.id);
  }
}

/** The name of a task without its number. */
export const plain = (name) => name.replace(/ #\d+$/, "");

/** List names, those that differ by their number only as one: `server, client x371`. */
export function fold(names) {
  const counts = new Map();
  for (const name of names) {
    const same = counts.get(plain(name));
    if (same) same.count += 1;
    else counts.set(plain(name), {first: name, count: 1});
  }
  const shown = [...counts].map(([key, {first, count}]) => (count === 1 ? first : `${key} ×${count}`));
  return shown.length > 6 ? [...shown.slice(0, 6), `${shown.length - 6} more`].join(", ") : shown.join(", ");
}

/** Say how long something takes: `12 ms`, `3.2 s`, `4 min 10 s`. */
export function duration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
