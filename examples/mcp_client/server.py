"""The MCP server that the application talks to, over stdio."""

from mcp.server import MCPServer

mcp = MCPServer("adder")


@mcp.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    mcp.run()
