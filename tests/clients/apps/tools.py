"""An MCP server: over stdio when it is run, over streamable HTTP as an ASGI application."""

from __future__ import annotations

import json
import time

import anyio
from about import about
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("tools")


@mcp.tool()
def add(a: int, b: int) -> int:
    """Add two numbers, in a worker thread."""
    time.sleep(0.001)
    return a + b


@mcp.tool()
async def where() -> str:
    """Tell what the server runs on."""
    return json.dumps(about())


@mcp.tool()
async def count(upto: int, context: Context) -> str:
    """Count, and tell how far it has got."""
    for number in range(upto):
        await context.report_progress(number + 1, upto)
    return f"counted to {upto}"


@mcp.tool()
async def rest() -> str:
    """Do nothing until cancelled."""
    await anyio.sleep_forever()
    return "never"


@mcp.resource("greeting://{name}")
def greeting(name: str) -> str:
    """Greet somebody."""
    return f"Hello, {name}!"


app = mcp.streamable_http_app()

if __name__ == "__main__":
    mcp.run()
