// The Run button below examples: Python in the browser (Pyodide), loaded when the first one is pressed.
//
// One file, two sides. In a page it makes the buttons and shows what happens; in a worker, which the page starts from
// the same file, it loads Python and runs programs, so that a page stays alive whatever a program does, and Stop works.
//
// A page carries its list of examples (`scripts/page_examples.py` writes it). Without this script, or without a
// network, a page shows plain code. Where Python comes from stands in `run.json`.
//
//     absent --Run--> loading --loaded--> ready --Run--> running --ended--> ready
//                        `--failed--> absent                `--Stop--> absent

const HERE = new URL(".", import.meta.url);

// ── In the worker ────────────────────────────────────────────────────────────────────────────────────

function work() {
  let loaded;
  self.onmessage = async ({ data: { before, source } }) => {
    try {
      loaded ??= load();
      const run = await loaded;
      self.postMessage({ kind: "started" });
      const write = (text) => self.postMessage({ kind: "printed", text });
      const timeline = await run.callPromising(before, source, write);
      self.postMessage({ kind: "ended", timeline: JSON.parse(timeline) });
    } catch (error) {
      self.postMessage({ kind: "failed", text: String(error.message ?? error) });
    }
  };
}

async function load() {
  const { pyodide } = await (await get("run.json")).json();
  const from = new URL(pyodide, HERE);
  const [{ loadPyodide }, archive, runner] = await Promise.all([
    import(new URL("pyodide.mjs", from)),
    get("creche.zip").then((answer) => answer.arrayBuffer()),
    get("run.py").then((answer) => answer.text()),
  ]);
  const python = await loadPyodide({ indexURL: from.href });
  python.unpackArchive(archive, "zip", { extractDir: "/creche" });
  python.runPython("import sys; sys.path.insert(0, '/creche')");
  python.runPython(runner);
  const run = python.globals.get("run_example");
  if (typeof WebAssembly.Suspending !== "function") {
    throw new Error("This browser cannot wait inside Python (JavaScript Promise Integration). Try a newer one.");
  }
  return run;
}

async function get(name) {
  const answer = await fetch(new URL(name, HERE));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
}

// ── In the page ──────────────────────────────────────────────────────────────────────────────────────

let worker = null;
let shown = null; // the example that loads or runs

function decorate(examples) {
  const blocks = document.querySelectorAll("div.language-python.highlight");
  for (const { number, before } of examples) new Example(blocks[number], before);
}

class Example {
  constructor(block, before) {
    this.code = block.querySelector("code");
    this.before = before;
    this.written = this.code.innerHTML;
    this.code.contentEditable = "plaintext-only";
    this.code.spellcheck = false;
    this.code.setAttribute("role", "textbox");
    this.code.setAttribute("aria-multiline", "true");
    this.code.setAttribute("aria-label", "Program; it can be edited");
    this.code.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.press();
      }
      event.stopPropagation(); // the page has keys of its own
    });
    this.code.addEventListener("input", () => { this.reset.hidden = false; });
    this.button = make("button", "run-button", "Run");
    this.button.title = "Run it here, in your browser (Ctrl+Enter)";
    this.button.addEventListener("click", () => this.press());
    this.reset = make("button", "run-button run-reset", "Reset");
    this.reset.hidden = true;
    this.reset.addEventListener("click", () => this.restore());
    this.state = make("span", "run-state");
    this.state.setAttribute("role", "status");
    this.output = make("pre", "run-output");
    this.output.hidden = true;
    this.output.tabIndex = 0;
    this.output.setAttribute("aria-label", "Output");
    this.tasks = make("div", "run-tasks");
    this.tasks.hidden = true;
    const bar = make("div", "run-bar");
    bar.append(this.button, this.reset, this.state);
    const all = make("div", "run");
    all.append(bar, this.output, this.tasks);
    block.after(all);
  }

  press() {
    if (shown === this) {
      stop();
      this.finish("stopped");
      return;
    }
    if (shown !== null) {
      const other = shown;
      stop();
      other.finish("stopped");
    }
    shown = this;
    this.button.textContent = "Stop";
    this.output.textContent = "";
    this.output.hidden = this.tasks.hidden = true;
    this.state.textContent = worker === null ? "loading Python (12 MB, once) …" : "running …";
    worker ??= new Worker(import.meta.url, { type: "module" });
    worker.onmessage = ({ data }) => this.hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.hear({ kind: "failed", text: event.message ?? "the worker did not start" });
    };
    worker.postMessage({ before: this.before, source: this.code.innerText });
  }

  hear(message) {
    if (shown !== this) return;
    switch (message.kind) {
      case "started":
        this.state.textContent = "running …";
        break;
      case "printed":
        this.output.hidden = false;
        this.output.textContent += message.text;
        break;
      case "ended":
        draw(this.tasks, message.timeline);
        this.finish(`${message.timeline.end.toFixed(0)} ms`);
        break;
      case "failed":
        stop();
        this.output.hidden = false;
        this.output.textContent += `Python could not be loaded here. The program runs on your machine, with creche installed.\n${message.text}\n`;
        this.finish("not run");
        break;
    }
  }

  finish(state) {
    shown = null;
    this.button.textContent = "Run";
    this.state.textContent = state;
  }

  restore() {
    this.code.innerHTML = this.written;
    this.reset.hidden = true;
  }
}

function stop() {
  worker?.terminate();
  worker = null;
}

// A row for each task: a light bar while it lives, dark where it runs, and how it ended at its end.
function draw(where, { end, rows, more }) {
  const share = (time) => `${(100 * Math.min(time / end, 1)).toFixed(3)}%`;
  where.replaceChildren();
  where.hidden = rows.length === 0;
  for (const { name, start, end: ended, outcome, steps } of rows) {
    const row = make("div", "run-task");
    const track = make("div", "run-track");
    const life = make("span", `run-life ${outcome.split(" ")[0]}`);
    const last = ended ?? steps.at(-1)?.[1] ?? end;
    life.style.left = share(start);
    life.style.width = share(last - start);
    track.append(life);
    for (const [from, to, waits] of steps) {
      const step = make("span", "run-step");
      step.style.left = share(from);
      step.style.width = share((to ?? end) - from);
      step.title = waits === "" ? "runs" : `runs, then waits for ${waits}`;
      track.append(step);
    }
    const waits = steps.map((step) => step[2]).filter(Boolean).slice(0, 3).join(", ");
    row.title = [waits && `waits for ${waits}`, outcome].filter(Boolean).join("; ");
    row.append(make("span", "run-name", name), track, make("span", "run-outcome", outcome.split(" ")[0]));
    where.append(row);
  }
  where.append(make("div", "run-axis", `0 to ${end.toFixed(0)} ms${more ? `; ${more} more steps of other tasks` : ""}`));
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  if (tag === "button") element.type = "button";
  return element;
}

// ── Which side this is; last, for classes are not there before their line ────────────────────────────

if (typeof document === "undefined") {
  work();
} else {
  const list = document.getElementById("run-examples");
  if (list !== null) decorate(JSON.parse(list.textContent));
}
