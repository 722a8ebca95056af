"""Answers that are no 200: what is wrong, where, and what to do, as on the command line."""

from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bluefleet.fleet import StateUnusable
from bluefleet.service._asked import Refusal, Wrong

_SEE = "GET /openapi.json says what can be asked"
ANSWERS: dict[int | str, dict[str, Any]] = {
    code: {"model": Refusal, "description": words}
    for code, words in {
        401: "No token, or a wrong one",
        422: "What is asked can't be",
        503: "The manager's state",
    }.items()
}


class Refused(Exception):
    """An answer that is no 200."""

    def __init__(self, code: int, what: str, where: str, remedy: str) -> None:
        self.code = code
        self.wrong = Wrong(what=what, where=where, remedy=remedy)
        super().__init__(what)


def add_refusals(app: FastAPI) -> None:
    """Let the application answer so."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(StateUnusable, _unusable)


def _answer(code: int, wrong: Wrong) -> JSONResponse:
    headers = {"WWW-Authenticate": 'Bearer realm="fleet"'} if code == 401 else None
    return JSONResponse(Refusal(error=wrong).model_dump(), code, headers)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    refused = cast("Refused", error)
    return _answer(refused.code, refused.wrong)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    first = cast("RequestValidationError", error).errors()[0]
    where = " ".join(str(part) for part in first["loc"])
    return _answer(422, Wrong(what=str(first["msg"]), where=where, remedy=_SEE))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    http = cast("HTTPException", error)
    where = f"{request.method} {request.url.path}"
    return _answer(http.status_code, Wrong(what=str(http.detail), where=where, remedy=_SEE))


async def _unusable(_request: Request, error: Exception) -> JSONResponse:
    unusable = cast("StateUnusable", error)
    return _answer(503, Wrong(what=str(unusable), where=str(unusable.file), remedy=unusable.remedy))
