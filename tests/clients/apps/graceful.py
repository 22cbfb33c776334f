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

stopping: creche.Event
streams = 0
requests = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global stopping
    stopping = creche.Event()

    async def watch() -> None:
        await wait_for_stop()
        stopping.set()

    async with creche.create_task_group() as tg:
        await tg.start(partial(stop_on_signals, signal.SIGTERM, grace=30))
        tg.start_soon(watch)
        yield
        tg.cancel()
    print("resources closed", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/events")
async def events() -> StreamingResponse:
    async def stream() -> AsyncIterator[bytes]:
        global streams
        streams += 1
        try:
            yield b"data: hello\n\n"
            await stopping.wait()
            yield b"data: bye\n\n"
        finally:
            streams -= 1

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/slow")
async def slow() -> dict[str, bool]:
    global requests
    requests += 1
    await stopping.wait()
    await creche.sleep(0.2)
    return {"done": True}


@app.get("/busy")
async def busy() -> dict[str, int]:
    return {"streams": streams, "requests": requests}
