"""The HTTP API, as users of rembg's server know it: photos in, PNGs out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import sdnet_pl
from sdnet_pl.errors import InputError
from sdnet_pl.inference.batch import one_thread_each
from sdnet_pl.inference.removal import remove
from sdnet_pl.server import requests
from sdnet_pl.server.limits import RETRY_AFTER, BusyError, GoneError, TooLargeError
from sdnet_pl.server.service import Service, Settings

_STATUS = {TooLargeError: 413, BusyError: 503, TimeoutError: 408, GoneError: 499}
_DESCRIPTION = "Cuts people out of photos. Nothing that is sent leaves the machine, and nothing of it is kept."


def create_app(settings: Settings, page: bool = False) -> FastAPI:
    """The application, for uvicorn or any other ASGI server, in one process.

    Args:
        settings: how it works.
        page: whether the page for people is at ``/``; otherwise ``/`` leads to ``/docs``.

    Raises:
        InputError: a setting is wrong.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with one_thread_each():
            yield

    app = FastAPIOffline(
        title="sdnet_pl",
        version=sdnet_pl.__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    for kind in (InputError, TimeoutError, GoneError, Exception):
        app.exception_handler(kind)(_answer)
    _add_routes(app, service)
    if page:
        from sdnet_pl.server.page import mount

        mount(app, service)
    else:
        app.get("/", include_in_schema=False)(lambda: RedirectResponse("/docs"))
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/api/remove",
        summary="Cut the people out of a photo",
        response_class=Response,
        responses=_responses(),
        openapi_extra=_request(service),
    )
    async def remove_background(request: Request) -> Response:
        with service.place():
            asked = await requests.read(request)
            gone = asyncio.create_task(requests.until_gone(request))
            try:
                with asked.photo:
                    png = await service.queue.work(gone.done, _cut_out, service, asked)
            finally:
                gone.cancel()
        return Response(png, media_type="image/png")

    @app.get("/api/remove", include_in_schema=False)
    def remove_url() -> JSONResponse:
        return JSONResponse({"detail": requests.NO_URL}, 405, {"Allow": "POST"})

    @app.get("/health", summary="Whether the server works, and with which models")
    def health() -> dict[str, Any]:
        return {"status": "ok", "version": sdnet_pl.__version__, "models": service.models}

    @app.get(
        "/metrics",
        summary="Counts for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)


def _cut_out(service: Service, asked: requests.Asked) -> bytes:
    photo = asked.photo.read()
    if not photo:
        raise InputError("The picture is empty; send it as the part file of a form, or as the body.")
    session = service.session(asked.options.get("model") or service.model)
    service.check_photo(photo)
    return remove(photo, session=session, **requests.shown_by(asked.options))


async def _answer(request: Request, error: Exception) -> JSONResponse:
    """A sentence, without any path of this machine: what is no fault of the request goes to the log alone."""
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 400)
    text = str(error)
    if isinstance(error, TimeoutError):
        text = "The request did not arrive in time; send it again."
    elif not isinstance(error, (InputError, GoneError)):
        status, text = 500, "The server failed at this request, and its log says why; others are not concerned."
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 503 else None
    return JSONResponse({"detail": text}, status, headers)


def _responses() -> dict[int | str, dict[str, Any]]:
    detail = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
    meanings = {
        400: "The picture cannot be read, or an option is wrong",
        408: "The request did not arrive in time",
        413: "The file is too large, or has too many pixels",
        500: "The server failed at this request",
        503: "All places of the queue are taken; Retry-After says when to try again",
    }
    answers: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": {"application/json": {"schema": detail}}}
        for code, text in meanings.items()
    }
    binary = {"type": "string", "format": "binary"}
    answers[200] = {"description": HTTPStatus.OK.phrase, "content": {"image/png": {"schema": binary}}}
    return answers


def _request(service: Service) -> dict[str, Any]:
    """What OpenAPI says of a request, which is read by hand so that a place is taken before its body."""
    properties = {name: dict(schema) for name, schema in requests.OPTIONS.items()}
    properties["model"] |= {"enum": service.models, "default": service.model}
    for name in requests.WITHOUT_EFFECT:
        properties[name] = {"type": "string", "description": "of rembg; taken, and without effect", "deprecated": True}
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": binary, **properties}, "required": ["file"]}
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": schema["description"]}
            for name, schema in properties.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/octet-stream": {"schema": binary},
            },
        },
    }
