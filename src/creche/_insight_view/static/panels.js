// What is below the tree: the chosen task, the resources, the workers; and the banners above.

import {$, make, set} from "./dom.js";
import {duration} from "./model.js";
import {clock} from "./timeline.js";

const MOST_ROWS = 200;
const MOST_LINKS = 8;

export class Panels {
  /** `choose(id)` shows a task; `stack(id)` gives its stack. */
  constructor(choose, stack) {
    this.choose = choose;
    this.stack = stack;
    this.stackOf = null;
    this.shown = {};
  }

  /** Put something new in an element, unless it would be what is there. */
  #replace(element, key, made) {
    if (this.shown[element.id] === key) return;
    this.shown[element.id] = key;
    element.replaceChildren(...made());
  }

  #link(moment, id) {
    const link = make("button", {className: "link", type: "button"}, moment.name(id));
    link.addEventListener("click", () => this.choose(id));
    return link;
  }

  #links(moment, ids, between = ", ") {
    const parts = ids.slice(0, MOST_LINKS).flatMap((id) => [between, this.#link(moment, id)]).slice(1);
    if (ids.length > MOST_LINKS) parts.push(` and ${ids.length - MOST_LINKS} more`);
    return parts;
  }

  circles(moment) {
    const element = $("circles");
    element.hidden = moment.circles.length === 0;
    if (element.hidden) return;
    this.#replace(element, JSON.stringify(moment.circles), () =>
      moment.circles.map((circle) => make("p", {}, `Deadlock: ${circle.length} tasks wait for each other. `, this.#circle(moment, circle))));
  }

  #circle(moment, circle) {
    const detail = make("span", {className: "detail"});
    circle.slice(0, MOST_LINKS).forEach((id, place) => {
      const wait = moment.tasks.get(id)?.wait;
      if (place) detail.append("; ");
      detail.append(this.#link(moment, id), ` waits for ${wait?.what}, held by `, ...this.#links(moment, wait?.holders ?? []));
    });
    if (circle.length > MOST_LINKS) detail.append(` and ${circle.length - MOST_LINKS} more`);
    return detail;
  }

  details(moment, row) {
    const element = $("details");
    if (!row) {
      this.#replace(element, "", () => [make("p", {className: "soft"}, "Choose a task to see what is around it. Press ? for the keys.")]);
    } else if (row.ids.length !== 1) {
      const title = row.loop ? `${row.loop.backend} in ${row.loop.thread}` : `${row.ids.length} equal tasks`;
      this.#replace(element, row.key + row.ids.length, () => [make("h2", {}, title), make("p", {className: "soft"}, "Press → to see each.")]);
    } else {
      this.#task(element, moment, moment.tasks.get(row.ids[0]));
    }
  }

  #task(element, moment, task) {
    const facts = this.#facts(moment, task);
    const key = JSON.stringify([task.id, facts.map(([, ...parts]) => parts.map((part) => part.textContent ?? part)), this.stackOf === task.id]);
    this.#replace(element, key, () => {
      const list = make("dl");
      for (const [name, ...parts] of facts) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, ...parts)));
      return [make("h2", {}, task.full), list];
    });
  }

  #facts(moment, task) {
    const facts = [["State", moment.doing(task)]];
    if (task.kind !== "child") facts.push(["Kind", task.kind]);
    if (task.place) facts.push(["Where", make("span", {className: "place"}, `${task.place[0]}  ${task.place[1]}`)]);
    const {chain, circle} = moment.chain(task.id);
    if (chain.length > 1 || circle) {
      const links = this.#links(moment, circle ? [...chain, chain[0]] : chain, " → ");
      facts.push([circle ? "In a circle" : "Held up by", ...links]);
    }
    if (task.wait?.takes) facts.push(["Ends by", make("code", {}, task.wait.takes)]);
    if (task.parent !== null && moment.tasks.has(task.parent)) facts.push(["In the group of", this.#link(moment, task.parent)]);
    const known = moment.model.tasks.get(task.id);
    if (known?.busy !== undefined && known.busy !== null) facts.push(["Busy", `${duration(known.busy)} in ${known.steps ?? "?"} steps`]);
    for (const scope of moment.scopes(task)) facts.push(["Scope", scopeText(scope, moment.t)]);
    if (moment.model.recorded || moment.model.end) return facts;
    facts.push(["Stack", this.#stack(task)]);
    return facts;
  }

  #stack(task) {
    const box = make("div");
    const show = make("button", {className: "link", type: "button"}, "show");
    show.addEventListener("click", async () => {
      const frames = await this.stack(task.id);
      const lines = frames === null ? [make("li", {}, "the task has ended")]
        : frames.map(([place, name]) => make("li", {className: "place"}, `${place}  ${name}`));
      box.replaceChildren(make("ol", {}, ...lines));
    });
    box.append(show);
    return box;
  }

  resources(moment) {
    const found = moment.resources();
    const body = document.querySelector("#resources tbody");
    body.id = "resource-rows";
    const key = JSON.stringify(found.slice(0, MOST_ROWS).map((each) => [each.name, each.holders, each.waiters.length, each.waiters[0], moment.name(each.waiters[0])]));
    this.#replace(body, key, () => found.slice(0, MOST_ROWS).map((each) => make("tr", {},
      make("td", {title: each.name}, each.name),
      make("td", {}, ...(each.holders.length ? this.#links(moment, each.holders) : [make("span", {className: "soft"}, moment.model.recorded ? "" : "nobody")])),
      make("td", {className: "number"}, String(each.waiters.length)),
      make("td", {}, this.#link(moment, each.waiters[0])))));
    this.#lints(moment);
    this.#services(moment);
    this.#workers(moment);
  }

  /** What looks wrong, each with its task and its place. */
  #lints(moment) {
    const element = $("lints");
    element.hidden = moment.lints.length === 0;
    this.#replace(element, JSON.stringify(moment.lints), () => [
      make("h2", {}, "Looks wrong"),
      make("ul", {}, ...moment.lints.slice(0, MOST_ROWS).map(([kind, text, task, place]) => make("li", {},
        make("b", {}, kind), `: ${text} `,
        ...(place ? [make("span", {className: "place"}, place[0]), " "] : []),
        ...(moment.tasks.has(task) ? [this.#link(moment, task)] : [])))),
    ]);
  }

  /** Services, those without a task as well: they wait to be restarted. */
  #services(moment) {
    const element = $("services");
    element.hidden = moment.services.length === 0;
    this.#replace(element, JSON.stringify(moment.services), () => [
      make("h2", {}, "Services"),
      make("ul", {}, ...moment.services.slice(0, MOST_ROWS).map(({name, text, supervisor, task}) => make("li", {},
        moment.tasks.has(task) ? this.#link(moment, task) : make("b", {}, name), `  ${text}`,
        ...(moment.tasks.has(supervisor) ? [", in the group of ", this.#link(moment, supervisor)] : [])))),
    ]);
  }

  #workers(moment) {
    const element = $("workers");
    const counts = new Map();
    for (const {kind, call} of moment.workers) counts.set(`${kind} in ${call ?? "nothing"}`, (counts.get(`${kind} in ${call ?? "nothing"}`) ?? 0) + 1);
    const text = [...counts].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", ");
    set(element, "textContent", text ? `Workers: ${text}` : "");
  }
}

function scopeText(scope, now) {
  const parts = [scope.state + (scope.reason ? ` (${scope.reason})` : "")];
  if (scope.deadline !== null && scope.state !== "cancelled") parts.push(`ends at ${clock(scope.deadline)}, in ${duration(Math.max(0, Math.round(scope.deadline - now)))}`);
  if (scope.shield) parts.push("shielded");
  if (scope.group) parts.push("of a group");
  if (scope.place) parts.push(`entered at ${scope.place[0]}`);
  return parts.join(", ");
}
