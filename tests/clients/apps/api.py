"""A FastAPI application: what its users write, sync and async side by side."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from about import about
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

log: list[str] = []
gone = threading.Event()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    log.append("up")
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield
        group.cancel_scope.cancel()
    log.append("down")


app = FastAPI(lifespan=lifespan)


def sync_resource() -> Iterator[str]:
    log.append("sync resource opened")
    try:
        yield threading.current_thread().name
    finally:
        log.append("sync resource closed")


async def async_resource() -> AsyncIterator[str]:
    log.append("async resource opened")
    try:
        yield "resource"
    finally:
        await anyio.lowlevel.checkpoint()
        log.append("async resource closed")


@app.get("/async")
async def in_loop(resource: Annotated[str, Depends(async_resource)]) -> dict[str, Any]:
    return {**about(), "resource": resource}


@app.get("/sync")
def in_thread(_resource: Annotated[str, Depends(sync_resource)]) -> dict[str, Any]:
    return {
        "main_thread": about()["main_thread"],
        "loop": anyio.from_thread.run_sync(lambda: about()["loop"]),
        "answer": anyio.from_thread.run(answer),
    }


async def answer() -> int:
    await anyio.lowlevel.checkpoint()
    return 42


@app.get("/refused")
def refused(_resource: Annotated[str, Depends(sync_resource)]) -> None:
    raise HTTPException(status_code=418, detail="no coffee")


@app.get("/broken")
async def broken(_resource: Annotated[str, Depends(async_resource)]) -> None:
    raise ValueError("broken")


@app.get("/background")
async def background(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(log.append, "sync task")
    tasks.add_task(note, "async task")
    log.append("endpoint")
    return {"said": "later"}


async def note(text: str) -> None:
    await anyio.sleep(0)
    log.append(text)


@app.get("/stream")
def stream(count: int) -> StreamingResponse:
    return StreamingResponse(f"{number}\n" for number in range(count))  # in worker threads


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        async with anyio.create_task_group() as group:
            send, receive = anyio.create_memory_object_stream[str](4)
            group.start_soon(answer_all, websocket, receive)
            async with send:
                async for text in websocket.iter_text():
                    await send.send(text)
    except WebSocketDisconnect:
        pass
    finally:  # the test client cancels what is left when its side is closed
        gone.set()


async def answer_all(websocket: WebSocket, receive: Any) -> None:
    async with receive:
        async for text in receive:
            await websocket.send_text(text.upper())
