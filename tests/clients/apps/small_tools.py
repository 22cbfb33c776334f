"""An MCP server over stdio in plain Python, with one tool: it starts in a moment, so that thousands can."""

import json
import sys

ADD = {
    "name": "add",
    "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    },
}


def result_of(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "small", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [ADD]}
    if method == "tools/call":
        result = params["arguments"]["a"] + params["arguments"]["b"]
        return {
            "content": [{"type": "text", "text": str(result)}],
            "structuredContent": {"result": result},
        }
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        result = result_of(message["method"], message.get("params") or {})
        if result is None:
            answer["error"] = {"code": -32601, "message": message["method"]}
        else:
            answer["result"] = result
        print(json.dumps(answer), flush=True)
