// The page: what is shown, chosen and typed. Owns the state of the view; the data is `model.js`'s.

import {$, make, set, setAttribute, setData} from "./dom.js";
import {Model, duration, plain} from "./model.js";
import {Panels} from "./panels.js";
import {reveal, rowsOf, stateOf, summary} from "./rows.js";
import {ask, follow, open} from "./stream.js";
import {TOP, Timeline, clock} from "./timeline.js";

const SPANS = [0.001, 0.01, 0.1, 1, 10, 30, 60, 120, 300, 900, 3600];
const STATES = ["running", "ready", "waiting", "cancelling", "shielded"];

const model = new Model();
const timeline = new Timeline($("timeline"));
const panels = new Panels((id) => goTo(id), async (id) => (await ask(`stack?task=${id}`)).json());
const choices = new Map(); // of keys of rows: whether the user opened or closed them
const pool = []; // elements of rows

let paused = null; // the time that is shown, null while live
let span = 60;
let query = "";
let chosen = null; // the key of a row
let chosenPlace = 0; // where it was last: another row is chosen there when it goes away
let moment = null;
let rows = [];
let dirty = true; // the data, or what is chosen of it, has changed
let planned = false;

// What is shown

function plan(changed = true) {
  dirty ||= changed;
  if (!planned) requestAnimationFrame(draw);
  planned = true;
}

function draw() {
  planned = false;
  if (model.last === null) return;
  if (dirty) {
    dirty = false;
    moment = model.at(paused ?? model.last);
    rows = rowsOf(moment, choices, query);
    keepChosen();
    drawHead();
    panels.circles(moment);
    panels.resources(moment);
    drawSlider();
  }
  panels.details(moment, rows.find((row) => row.key === chosen));
  drawRows();
  drawTimeline();
}

function keepChosen() {
  const place = rows.findIndex((row) => row.key === chosen);
  if (place >= 0) chosenPlace = place;
  else if (chosen !== null && rows.length) chosen = rows[Math.min(chosenPlace, rows.length - 1)].key;
}

function drawHead() {
  const {program} = model;
  set($("program"), "textContent", program ? program.command || "a program" : "Creche");
  set($("about"), "textContent", program ? `process ${program.pid}, Python ${program.python}` : "");
  document.title = program ? `${program.command} – Creche` : "Creche";
  const state = model.end ? "ended" : model.silent ? "silent" : paused !== null ? "paused" : "live";
  setData($("live"), "state", model.recorded ? "paused" : state);
  const words = {ended: "ended", silent: "no answer", paused: "paused", live: "live"};
  set($("live"), "textContent", model.recorded ? "recording" : words[state]);
  showBanner(model.end && !model.recorded ? `${model.end} What is shown is the last that was seen.` : model.silent);
  const loops = moment.loops.map((loop) => `${loop.backend} ${loop.state}${loop.blocked ? ` for ${duration(moment.t - loop.blocked)}` : ""}`);
  const count = moment.tasks.size;
  set($("counts"), "textContent", `${count} task${count === 1 ? "" : "s"} · ${loops.join(" · ")}${moment.missing ? " · not complete" : ""}`);
  set($("empty"), "hidden", rows.length > 0);
  set($("empty"), "textContent", query ? "No task has this in its name, wait, place or state." : "There are no tasks.");
  set($("pause"), "textContent", paused === null ? "Pause" : "Go on live");
  set($("pause"), "hidden", model.recorded);
}

function showBanner(text) {
  set($("banner"), "textContent", text);
  set($("banner"), "hidden", !text);
}

const rowHeight = () => (matchMedia("(max-width: 760px)").matches ? 28 : 24);

function drawRows() {
  const scroll = $("scroll");
  const height = rowHeight();
  const total = TOP + rows.length * height;
  set($("rows").style, "height", `${total}px`);
  const first = Math.max(0, Math.floor((scroll.scrollTop - TOP) / height) - 5);
  const count = Math.min(rows.length - first, Math.ceil(scroll.clientHeight / height) + 10);
  while (pool.length < count) pool.push(newRow());
  pool.forEach((element, place) => {
    const row = place < count ? rows[first + place] : undefined;
    set(element, "hidden", row === undefined);
    if (row) fill(element, row, TOP + (first + place) * height);
  });
  const active = pool.find((element) => !element.hidden && element.dataset.key === chosen);
  setAttribute($("rows"), "aria-activedescendant", active?.id ?? null);
}

function newRow() {
  const parts = {
    fold: make("button", {className: "fold", type: "button", tabIndex: -1}),
    state: make("span", {className: "state"}),
    name: make("span", {className: "name"}),
    what: make("span", {className: "what"}),
    times: make("span", {className: "times"}),
  };
  const element = make("div", {className: "row", id: `row-${pool.length}`}, ...Object.values(parts));
  element.parts = parts;
  element.setAttribute("role", "treeitem");
  $("rows").append(element);
  return element;
}

function fill(element, row, top) {
  const {fold, name, what, times} = element.parts;
  const task = row.ids.length === 1 ? moment.tasks.get(row.ids[0]) : null;
  set(element.style, "top", `${top}px`);
  set(element.style, "paddingLeft", `${16 + row.depth * (document.body.dataset.tab === "timeline" ? 8 : 16)}px`);
  setData(element, "key", row.key);
  setData(element, "state", row.loop ? "" : task ? task.state : stateOf(moment, row.ids));
  setAttribute(element, "aria-level", row.depth + 1);
  setAttribute(element, "aria-expanded", row.open);
  setAttribute(element, "aria-selected", row.key === chosen);
  element.classList.toggle("stuck", Boolean(task && moment.stuck.has(task.id)));
  set(fold, "textContent", row.open === null ? "" : row.open ? "▾" : "▸");
  setAttribute(fold, "aria-label", row.open === null ? null : row.open ? "fold" : "expand");
  set(name, "textContent", row.loop ? `${row.loop.backend} in ${row.loop.thread}` : task ? task.name : `${plain(moment.name(row.ids[0]))} ×${row.ids.length}`);
  if (task && ["native", "detached", "starting"].includes(task.kind)) name.append(make("small", {}, ` ${task.kind}`));
  const text = row.loop ? row.loop.state : task ? moment.doing(task) : summary(moment, row.ids);
  set(what, "textContent", text);
  set(what, "title", text);
  set(times, "textContent", task?.since !== undefined ? duration(Math.max(0, moment.t - task.since)) : "");
}

function drawTimeline() {
  const scroll = $("scroll");
  const width = $("timeline").clientWidth;
  if (!width) return;
  const now = moment.t;
  const to = Math.max(paused === null ? now : Math.min(model.last, now + span / 2), model.first + span);
  const view = {
    from: to - span, to, now, last: model.last, rows, scrolled: scroll.scrollTop, rowHeight: rowHeight(),
    chosen: rows.findIndex((row) => row.key === chosen),
  };
  timeline.draw(model, view, width, scroll.clientHeight);
  set($("span"), "textContent", duration(span).replace(".0 s", " s").replace(" min 0 s", " min"));
}

function drawSlider() {
  const slider = $("slider");
  const long = model.last - model.first;
  const place = paused === null || long <= 0 ? 1000 : Math.round(((paused - model.first) / long) * 1000);
  if (document.activeElement !== slider || paused === null) set(slider, "value", String(place));
  const text = paused === null ? `${clock(model.last)}, now` : `${clock(moment.t)}, ${duration(model.last - moment.t)} ${model.recorded ? "before the end" : "ago"}`;
  set($("moment"), "textContent", text);
  setAttribute(slider, "aria-valuetext", text);
}

// What is chosen

function choose(place) {
  if (!rows.length) return;
  const row = rows[Math.max(0, Math.min(rows.length - 1, place))];
  chosen = row.key;
  const top = TOP + rows.indexOf(row) * rowHeight();
  const scroll = $("scroll");
  if (top - TOP < scroll.scrollTop) scroll.scrollTop = top - TOP;
  else if (top + rowHeight() > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + rowHeight() - scroll.clientHeight;
  plan(false);
}

function goTo(id) {
  query = "";
  $("find").value = "";
  const again = () => (rows = rowsOf(moment, choices, query));
  const place = reveal(moment, choices, id, again);
  if (place < 0) return;
  if (document.body.dataset.tab === "resources") showTab("tree");
  dirty = true;
  choose(place);
}

function goToCause() {
  const row = rows.find((each) => each.key === chosen);
  if (!row || !row.ids.length) return;
  const {chain, circle} = moment.chain(row.ids[0]);
  goTo(circle ? chain[1] ?? chain[0] : chain.at(-1));
}

function toggle(place, wanted) {
  const row = rows[place];
  if (!row || row.open === null) return false;
  if (row.open === (wanted ?? !row.open)) return false;
  choices.set(row.key, wanted ?? !row.open);
  plan();
  return true;
}

function foldOrUp(place) {
  if (toggle(place, false)) return;
  const depth = rows[place]?.depth ?? 0;
  for (let above = place - 1; above >= 0; above--) if (rows[above].depth < depth) return choose(above);
}

function pauseAt(t) {
  paused = t === null || t >= model.last ? (model.recorded ? model.last : null) : Math.max(model.first, t);
  plan();
}

function changeSpan(by) {
  const place = SPANS.findIndex((each) => each >= span) + by;
  span = SPANS[Math.max(0, Math.min(SPANS.length - 1, place))];
  plan(false);
}

function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.tab === name);
  plan(false);
}

// What is typed and clicked

const KEYS = {
  ArrowDown: (place) => choose(place + 1),
  ArrowUp: (place) => choose(place - 1),
  j: (place) => choose(place + 1),
  k: (place) => choose(place - 1),
  PageDown: (place) => choose(place + Math.floor($("scroll").clientHeight / rowHeight())),
  PageUp: (place) => choose(place - Math.floor($("scroll").clientHeight / rowHeight())),
  Home: () => choose(0),
  End: () => choose(rows.length - 1),
  ArrowRight: (place) => toggle(place, true) || (rows[place]?.open && choose(place + 1)),
  ArrowLeft: foldOrUp,
  Enter: (place) => toggle(place),
  r: goToCause,
  " ": () => pauseAt(paused === null ? model.last - 1e-6 : null),
  ",": () => pauseAt((paused ?? model.last) - Math.max(span / 60, 0.5)),
  ".": () => pauseAt((paused ?? model.last) + Math.max(span / 60, 0.5)),
  "+": () => changeSpan(-1),
  "-": () => changeSpan(1),
  "?": () => $("help").showModal(),
  "/": () => $("find").focus(),
  Escape: () => { query = $("find").value = ""; plan(); },
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const inField = event.target.matches("input, button");
  if (event.target === $("find")) {
    if (["Escape", "Enter", "ArrowDown"].includes(event.key)) {
      if (event.key === "Escape") KEYS.Escape();
      $("rows").focus();
      choose(Math.max(0, rows.findIndex((row) => row.key === chosen)));
      event.preventDefault();
    }
    return;
  }
  if (inField && /^(Arrow|Page|Home|End|Enter$| $)/.test(event.key)) return;
  const act = KEYS[event.key];
  if (!act || !moment) return;
  event.preventDefault();
  act(rows.findIndex((row) => row.key === chosen));
}

function onRow(event) {
  const element = event.target.closest(".row");
  if (!element) return;
  const place = rows.findIndex((row) => row.key === element.dataset.key);
  if (event.target.closest(".fold") || event.type === "dblclick") toggle(place);
  choose(place);
  $("rows").focus({preventScroll: true});
}

function listen() {
  document.addEventListener("keydown", onKey);
  $("rows").addEventListener("click", onRow);
  $("rows").addEventListener("dblclick", onRow);
  $("rows").addEventListener("focus", () => chosen ?? choose(0));
  $("scroll").addEventListener("scroll", () => plan(false), {passive: true});
  $("find").addEventListener("input", () => { query = $("find").value.trim(); plan(); });
  $("slider").addEventListener("input", () => {
    const place = Number($("slider").value) / 1000;
    pauseAt(place >= 1 ? null : model.first + place * (model.last - model.first));
  });
  $("pause").addEventListener("click", KEYS[" "]);
  $("shorter").addEventListener("click", () => changeSpan(-1));
  $("longer").addEventListener("click", () => changeSpan(1));
  $("help-button").addEventListener("click", KEYS["?"]);
  for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => showTab(tab.dataset.tab));
  addEventListener("resize", () => plan(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { timeline.readColours(); plan(false); });
}

function fillLegend() {
  for (const state of STATES) {
    const mark = make("i");
    mark.dataset.state = state;
    $("legend").append(make("li", {title: state}, mark, state));
  }
}

function take(message) {
  const first = model.last === null;
  model.apply(message);
  if (model.recorded && paused === null) {
    paused = model.last;
    span = Math.max(model.last - model.first, 0.001);
  }
  plan();
  if (first) $("rows").focus();
}

async function start() {
  fillLegend();
  listen();
  panels.details(null, undefined);
  let wrong;
  try {
    wrong = (await open()) || (await follow(take));
  } catch {
    wrong = "";
  }
  if (wrong) {
    setData($("live"), "state", "ended");
    set($("live"), "textContent", "closed");
    showBanner(wrong);
  } else if (!model.end && !model.recorded) {
    model.end = "The viewer ('creche web') has ended.";
    plan();
    if (model.last === null) showBanner(model.end);
  }
}

start();
