// The tree as rows: what is folded, found and shown. Owns the order; knows no page.

import {plain} from "./model.js";

const FOLDED_FROM = 4; // as many equal siblings are shown as one row

/**
 * The rows of a moment, from top to bottom.
 *
 * A row is {key, depth, ids, open, loop}: `ids` has one task, or those of a fold; `open` is null for a
 * row that nothing is below; `loop` is set on the row of a loop, which has no tasks of its own.
 *
 * `choices` says of keys whether the user opened or closed them; by default tasks are open, folds closed.
 */
export function rowsOf(moment, choices, query) {
  const wanted = query ? found(moment, query.toLowerCase()) : null;
  const rows = [];
  const seen = new Set();
  for (const loop of moment.loops) {
    const top = moment.below.get(`loop ${loop.id}`) ?? [];
    seen.add(loop.id);
    if (moment.loops.length > 1) {
      const key = `l${loop.id}`;
      const open = choices.get(key) ?? true;
      rows.push({key, depth: 0, ids: [], open, loop});
      if (open) add(top, 1, key);
    } else add(top, 0, `l${loop.id}`);
  }
  return rows;

  function add(tasks, depth, parent) {
    for (const [name, same] of grouped(tasks)) {
      if (same.length < FOLDED_FROM) for (const task of same) addTask(task, depth);
      else {
        const key = `f${parent} ${name}`;
        const open = choices.get(key) ?? false;
        rows.push({key, depth, ids: same.map((task) => task.id), open, loop: null});
        if (open) for (const task of same) addTask(task, depth + 1);
      }
    }
  }

  function addTask(task, depth) {
    const below = moment.below.get(task.id) ?? [];
    const key = `t${task.id}`;
    const open = below.length ? (choices.get(key) ?? true) : null;
    rows.push({key, depth, ids: [task.id], open, loop: null});
    if (open) add(below, depth + 1, key);
  }

  function grouped(tasks) {
    const groups = new Map();
    for (const task of tasks) {
      if (wanted && !wanted.has(task.id)) continue;
      const alone = moment.stuck.has(task.id) || moment.below.has(task.id);
      const name = alone ? `#${task.id}` : `${plain(task.name)} ${task.kind}`;
      const group = groups.get(name);
      if (group) group.push(task);
      else groups.set(name, [task]);
    }
    return groups;
  }
}

/** The tasks with a text in their name, wait, place or state, and those above them. */
function found(moment, query) {
  const wanted = new Set();
  for (const task of moment.tasks.values()) {
    const parts = [task.name, task.full, task.state, moment.doing(task), ...(task.place ?? [])];
    if (!parts.some((part) => part.toLowerCase().includes(query))) continue;
    let each = task;
    while (each && !wanted.has(each.id)) {
      wanted.add(each.id);
      each = moment.tasks.get(each.parent);
    }
  }
  return wanted;
}

/** What the tasks of a fold do: the most common first. */
export function summary(moment, ids) {
  const counts = new Map();
  for (const id of ids) {
    const task = moment.tasks.get(id);
    const text = task.wait && task.state !== "running" ? moment.doing({...task, scopes: task.state === "waiting" ? [] : task.scopes}) : task.state;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  if (sorted.length === 1) return sorted[0][0];
  const shown = sorted.slice(0, 3).map(([text, count]) => `${count} ${text}`);
  return sorted.length > 3 ? `${shown.join("; ")}; …` : shown.join("; ");
}

/** The state of a fold: the one that needs most to be seen. */
export function stateOf(moment, ids) {
  const there = new Set(ids.map((id) => moment.tasks.get(id).state));
  return ["running", "cancelling", "shielded", "ready", "waiting"].find((state) => there.has(state)) ?? "waiting";
}

/** The place of a task among the rows, after what hides it was opened. */
export function reveal(moment, choices, id, rowsNow) {
  for (let task = moment.tasks.get(id); task; task = moment.tasks.get(task.parent)) {
    const parent = moment.tasks.get(task.parent);
    if (parent) choices.set(`t${parent.id}`, true);
    else choices.set(`l${task.loop}`, true);
    const above = `${parent ? `t${parent.id}` : `l${task.loop}`}`;
    choices.set(`f${above} ${plain(task.name)} ${task.kind}`, true);
  }
  return rowsNow().findIndex((row) => row.ids.length === 1 && row.ids[0] === id);
}
