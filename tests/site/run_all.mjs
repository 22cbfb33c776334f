// Runs the examples of the documentation in Pyodide: node run_all.mjs PYODIDE ARCHIVE RUNNER EXAMPLES
// EXAMPLES is a file of [{before, source}]; what each prints, and its timeline, come out as JSON, a line each.
import fs from "node:fs";
import path from "node:path";

const [pyodide, archive, runner, examples] = process.argv.slice(2);

try {
  await main();
} catch (error) {
  console.error(String(error.message ?? error)); // without the source that it comes from, which is one long line
  process.exitCode = 1;
}

async function main() {
  const { loadPyodide } = await import(path.join(pyodide, "pyodide.mjs"));
  const python = await loadPyodide();
  python.unpackArchive(new Uint8Array(fs.readFileSync(archive)), "zip", { extractDir: "/examples" });
  python.runPython("import sys; sys.path.insert(0, '/examples')");
  python.runPython(fs.readFileSync(runner, "utf8"));
  const run = python.globals.get("run_example");
  for (const { before, source } of JSON.parse(fs.readFileSync(examples, "utf8"))) {
    let printed = "";
    const timeline = await run.callPromising(before, source, (text) => { printed += text; });
    console.log(JSON.stringify({ printed, timeline: JSON.parse(timeline) }));
  }
}
