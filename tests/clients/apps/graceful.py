"""A FastAPI service that stops gracefully: streams of events end by themselves, requests are finished."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import creche
from creche.services import stop_on_signals, wait_for_stop

GRACE = 300  # seconds: far more than it needs, also on a busy machine

stopping: creche.Event
came: creche.Event
"""Set, and replaced, when somebody has come."""
streams = 0
requests = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global stopping, came
    stopping, came = creche.Event(), creche.Event()

    async def watch() -> None:
        await wait_for_stop()
        stopping.set()

    async with creche.create_task_group() as tg:
        await tg.start(partial(stop_on_signals, signal.SIGTERM, grace=GRACE))
        tg.start_soon(watch)
        yield
        tg.cancel()
    print("resources closed", flush=True)


app = FastAPI(lifespan=lifespan)


def tell() -> None:
    global came
    came.set()
    came = creche.Event()


@app.get("/events")
async def events() -> StreamingResponse:
    async def stream() -> AsyncIterator[bytes]:
        global streams
        streams += 1
        tell()
        yield b"data: hello\n\n"
        await stopping.wait()
        yield b"data: bye\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/slow")
async def slow() -> dict[str, bool]:
    global requests
    requests += 1
    tell()
    await stopping.wait()
    await creche.sleep(0.2)
    return {"done": True}


@app.get("/all-in")
async def all_in(following: int, waiting: int) -> dict[str, bool]:
    """Wait until so many follow the events, and so many requests are in flight."""
    while streams < following or requests < waiting:
        await came.wait()
    return {"stopping": stopping.is_set()}
