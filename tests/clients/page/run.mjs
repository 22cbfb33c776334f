// Runs a Python file in Pyodide: node run.mjs PYODIDE FILE FOLDER...   (the folders go into sys.path)
import fs from "node:fs";
import path from "node:path";

const [pyodide, file, ...folders] = process.argv.slice(2);
const { loadPyodide } = await import(path.join(pyodide, "pyodide.mjs"));
const python = await loadPyodide();
for (const [number, folder] of folders.entries()) {
  python.mountNodeFS(`/folder${number}`, folder);
  python.runPython(`import sys; sys.path.insert(0, "/folder${number}")`);
}
try {
  await python.runPythonAsync(fs.readFileSync(file, "utf8"));
} catch (error) {
  console.error(String(error.message ?? error));
  process.exitCode = 1;
}
