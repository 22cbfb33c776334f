"""Finds the examples of the documentation that run in a browser, and puts a Run button below them.

    .venv/bin/python scripts/page_examples.py      after the site was built: writes into site/

Owns the rule that decides which blocks run, and what a built page is given: a list of its examples, the script
and the style sheet. `docs/assets/run.js` makes the buttons of it, `run.py` beside it runs the programs.

The rule
--------
A `python` block runs in the page if

* it does something when it is run: a call stands at its top level;
* it imports only what a browser has: the modules in `MODULES`, and of Creche all but what is in `ABSENT`;
* it names no other loop (`backend=`), for the page has one;
* it sleeps for no longer than a reader waits, for time is real in the page;
* each name that it uses is defined in it, or above it on the page by an import, a function, a class or an
  assignment, of which the same is true. These run before it, and are not shown again.

`<!-- not in the page: REASON -->` before a block takes it out: what it prints depends on the machine, for example.
"""

from __future__ import annotations

import ast
import builtins
import html
import importlib.util
import json
import re
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS, SITE = ROOT / "docs", ROOT / "site"

MODULES = frozenset(
    """
    __future__ collections contextlib contextvars dataclasses datetime enum functools heapq io itertools json
    logging math operator random re statistics string sys textwrap time types typing warnings
    """.split()  # noqa: SIM905  # a list of a word a line is no easier to read
)
ABSENT = frozenset(
    # Sockets, threads, processes, files and signals; and the modules whose subject they are.
    """
    connect_tcp connect_unix create_tcp_listener create_unix_listener create_udp_socket create_unix_datagram_socket
    create_connected_udp_socket create_connected_unix_datagram_socket getaddrinfo getnameinfo wait_readable
    wait_writable wait_socket_readable wait_socket_writable notify_closing TCPConnectable UNIXConnectable
    as_connectable open_process run_process open_file wrap_file Path AsyncFile NamedTemporaryFile
    SpooledTemporaryFile TemporaryDirectory TemporaryFile gettempdir mkdtemp mkstemp open_signal_receiver
    to_thread to_process to_interpreter to_executor from_thread get_all_backends
    cluster debug insight pytest_plugin streams.file streams.tls
    """.split()  # noqa: SIM905
)
WAITS = ("sleep", "every")
PATIENCE = 10
"""Seconds that a reader waits for an example, at most."""
FENCE = re.compile(
    r"(?P<out><!-- not in the page: [^\n]+ -->\s*\n)?"
    r"^(?P<indent> *)```(?P<kind>\w+)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SHOWN = re.compile(
    r'<div class="language-python highlight">.*?<code>(?P<text>.*?)</code>', re.DOTALL
)
Statement = ast.stmt


@dataclass(frozen=True)
class Example:
    """A block that runs in the page."""

    number: int
    """Which of the page's `python` blocks it is, from 0 on."""
    source: str
    before: str
    """What it needs of the blocks above it."""
    output: str | None
    """What it prints, where the page shows it."""


@dataclass(frozen=True)
class Block:
    source: str
    output: str | None
    taken_out: bool


class NotHere(Exception):
    """Why a block does not run in the page."""


def blocks(markdown: str) -> list[Block]:
    """Return the `python` blocks of a page."""
    found: list[Block] = []
    before = ""
    for match in FENCE.finditer(markdown):
        text = textwrap.dedent(match["text"])
        if match["kind"] == "python":
            found.append(Block(text, None, match["out"] is not None))
        elif before == "python" and 'title="Output"' in match["info"]:
            found[-1] = Block(found[-1].source, text, found[-1].taken_out)
        before = match["kind"]
    return found


def examples(markdown: str) -> list[Example]:
    """Return the blocks of a page that run in a browser."""
    return [found for _, found in judged(markdown) if isinstance(found, Example)]


def judged(markdown: str) -> Iterator[tuple[Block, Example | NotHere]]:
    """Tell of each block of a page how it runs in a browser, or why it does not."""
    known: Known = {}
    for number, block in enumerate(blocks(markdown)):
        try:
            tree = ast.parse(block.source)
        except SyntaxError as exc:
            yield block, NotHere(str(exc))
            continue
        try:
            before = needed(block, tree, known)
            yield block, Example(number, block.source, before, block.output)
        except NotHere as reason:
            yield block, reason
        for order, statement in enumerate(tree.body):
            for name, definition in definitions(statement, block.source, (number, order)):
                known[name] = [definition]
            if (owner := owner_of(statement)) in known:
                place = (number, order)
                effect = Definition(statement, source_of(statement, block.source), place)
                known[owner].append(effect)


@dataclass(frozen=True)
class Definition:
    statement: Statement
    source: str
    place: tuple[int, ...]
    """Where it stands: the block, the statement in it, and the name that an import brings."""


Known = dict[str, list[Definition]]
"""By the name: what defines it, and what then changes it (`log.setLevel(...)`)."""


def owner_of(statement: Statement) -> str:
    """Return the name of the object that a statement calls a method of; nothing for modules' functions."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name
        case _:
            return ""


def definitions(
    statement: Statement, source: str, place: tuple[int, ...]
) -> Iterator[tuple[str, Definition]]:
    """Return the names that a statement defines. An import of many names is as many imports."""
    if isinstance(statement, ast.ImportFrom):
        for order, alias in enumerate(statement.names):
            single = ast.ImportFrom(statement.module, [alias], statement.level)
            yield (
                alias.asname or alias.name,
                Definition(single, ast.unparse(single) + "\n", (*place, order)),
            )
    else:
        found = Definition(statement, source_of(statement, source), place)
        for name in bound(statement):
            yield name, found


def needed(block: Block, tree: ast.Module, known: Known) -> str:
    """Return the definitions that a block needs from above it.

    :raises NotHere: it does not run in a browser
    """
    if block.taken_out:
        raise NotHere("it is taken out by a comment")
    if not any(isinstance(each, ast.Expr | ast.With) and calls(each) for each in tree.body):
        raise NotHere("it only defines what others use")
    own: set[str] = set()
    everything = {name for statement in tree.body for name in bound(statement)}
    taken: dict[tuple[int, ...], Definition] = {}
    for statement in tree.body:
        check_imports(statement)
        # What is in a function is looked up when it is called; by then all of the block may be there.
        later = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        take(used(statement) - (everything if later else own), known, everything, taken)
        own |= bound(statement)
    return "\n".join(
        definition.source for _, definition in sorted(taken.items(), key=itemgetter(0))
    )


def take(
    names: set[str],
    known: Known,
    own: set[str],
    taken: dict[tuple[int, ...], Definition],
) -> None:
    """Add the definitions of names, and what these need.

    :raises NotHere: nothing above defines one of them that `own` does not define either, or it has no place in a browser
    """
    for name in sorted(names):
        if hasattr(builtins, name) or name == "__name__" or (name not in known and name in own):
            continue
        if name not in known:
            raise NotHere(f"nothing above it defines {name}")
        first, *changes = known[name]
        check_definition(first.statement, name)
        if isinstance(first.statement, ast.Import):
            changes = []  # Those are calls of the module's functions: run(main), perhaps.
        for definition in (first, *changes):
            if definition.place not in taken:
                check_imports(definition.statement)
                taken[definition.place] = definition
                needs = used(definition.statement)
                if definition is not first:
                    check_unchanged(needs, definition, known)
                take(needs, known, own, taken)


def check_imports(statement: Statement) -> None:
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom):
            check_module(node.module or ".")
            if (node.module or "").partition(".")[0] == "creche":
                for alias in node.names:
                    check_creche(alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                check_module(alias.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "creche":
                check_creche(node.attr)
        elif isinstance(node, ast.keyword) and node.arg in ("backend", "backend_options"):
            raise NotHere("it chooses a loop")
        elif isinstance(node, ast.Call):
            check_patience(node)


def check_patience(call: ast.Call) -> None:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    match call.args:
        case [ast.Constant(value=int() | float() as seconds), *_] if name in WAITS:
            if seconds > PATIENCE:
                raise NotHere(f"it waits for {seconds} seconds, and time is real in the page")


def check_unchanged(names: set[str], change: Definition, known: Known) -> None:
    for name in sorted(names & known.keys()):
        if known[name][0].place > change.place:
            raise NotHere(f"{name} was another thing when it was used above")


def check_module(name: str) -> None:
    first, _, rest = name.partition(".")
    if first == "creche":
        if rest:
            check_creche(rest)
    elif first not in MODULES:
        raise NotHere(f"a browser may not have {name}")


def check_creche(name: str) -> None:
    if name in ABSENT or name.partition(".")[0] in ABSENT:
        raise NotHere(f"a browser has no {name}")


def check_definition(statement: Statement, name: str) -> None:
    kinds = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
    )
    if not isinstance(statement, kinds):
        raise NotHere(f"{name} comes out of a statement that does more than define it")


def bound(statement: Statement) -> set[str]:
    """Return the names that a statement at the top level binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Import():
            return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        case ast.ImportFrom():
            return {alias.asname or alias.name for alias in statement.names}
        case _:
            return {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
            } | {
                node.name
                for node in ast.walk(statement)
                if isinstance(node, ast.ExceptHandler) and node.name
            }


def used(statement: Statement) -> set[str]:
    """Return the names that a statement takes from outside itself."""
    nodes = list(ast.walk(statement))
    loaded = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    inside = {
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    inside |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    inside |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            inside |= bound(node)
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            inside.add(node.name)
    return loaded - inside


def calls(statement: Statement) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(statement))


def source_of(statement: Statement, source: str) -> str:
    first = min(
        [statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", []))]
    )
    return "\n".join(source.splitlines()[first - 1 : statement.end_lineno]) + "\n"


# The built site


def main() -> int:
    count = 0
    for page in sorted(DOCS.rglob("*.md")):
        found = examples(page.read_text(encoding="utf-8"))
        if found:
            give(built(page), found)
            count += len(found)
    pack(SITE / "assets" / "creche.zip")
    print(f"{count} examples run in the page")
    return 0


def built(page: Path) -> Path:
    """Return where the site has a page."""
    name = page.relative_to(DOCS).with_suffix("")
    folder = name.parent if name.name == "index" else name
    return SITE / folder / "index.html"


def give(page: Path, found: list[Example]) -> None:
    """Write into a built page which of its blocks run, and have it load the script."""
    text = page.read_text(encoding="utf-8")
    shown = [html.unescape(re.sub(r"<[^>]+>", "", match["text"])) for match in SHOWN.finditer(text)]
    for example in found:
        if shown[example.number].strip() != example.source.strip():
            raise SystemExit(
                f"{page}: block {example.number} of the page is not that of its source"
            )
    listed = json.dumps([{"number": each.number, "before": each.before} for each in found])
    listed = listed.replace("</", r"<\/")
    assets = "../" * len(page.parent.relative_to(SITE).parts) + "assets"
    style = f'<link rel="stylesheet" href="{assets}/run.css">'
    data = f'<script type="application/json" id="run-examples">{listed}</script>'
    script = f'<script type="module" src="{assets}/run.js"></script>'
    if style not in text:
        text = text.replace("</head>", f"{style}</head>", 1)
        text = text.replace("</body>", f"{data}{script}</body>", 1)
        page.write_text(text, encoding="utf-8")


def pack(path: Path) -> None:
    """Write an archive of Creche, and of what it needs, for the browser's Python."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("creche", "idna"):
            folder = package(name)
            for file in sorted(folder.rglob("*.py")):
                archive.write(file, Path(name) / file.relative_to(folder))


def package(name: str) -> Path:
    if name == "creche":
        return ROOT / "src" / name
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None, f"{name} is not installed"
    return Path(spec.origin).parent


if __name__ == "__main__":
    sys.exit(main())
