"""The HTTP API: parses what is asked, hands it to the fleet, and answers what the command line would with --json."""

import hmac
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bluefleet.service._asked import Health
from bluefleet.service._looks import add_looks
from bluefleet.service._parts import Described, Parts
from bluefleet.service._refusals import ANSWERS, Refused, add_refusals
from bluefleet.service._verbs import add_verbs

# Bytes of a body. It is parsed before the token is looked at; the names of a thousand targets fit in.
_ASKED_AT_MOST = 65536

_bearer = HTTPBearer(auto_error=False, scheme_name="fleet_token", description="The site's secret `fleet_token`")


def build(
    parts: Parts | None, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
) -> FastAPI:
    """The application; without parts it can only tell what could be asked."""
    app = FastAPI(
        title="bluefleet fleet service",
        version="1",
        summary="The state of the fleet, and its verbs.",
        description="Everything but /healthz needs `Authorization: Bearer <fleet_token>`. Answers are JSON objects with "
        "`schema_version`; what is refused says what is wrong, where, and what to do.",
        servers=[{"url": "/fleet", "description": "at the edge"}, {"url": "/", "description": "on the manager"}],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=_ASKED_AT_MOST,
        lifespan=lifespan,
    )
    add_refusals(app)
    api = _Door(parts)
    guarded = APIRouter(dependencies=[Depends(api.admit)], responses=ANSWERS)
    add_looks(guarded, api)
    add_verbs(guarded, api)

    @guarded.get("/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        return app.openapi()

    @app.get("/healthz", response_model=Health, responses={503: {"model": Health}})
    # In the loop itself: a probe must not wait until others give a thread back.
    async def healthz() -> JSONResponse:
        """Whether the service does its round. Without a token: it says nothing of the fleet."""
        ok = api.parts.keeper.alive
        return JSONResponse(Health(ok=ok).model_dump(), 200 if ok else 503)

    app.include_router(guarded)
    return app


class _Door(Described):
    def admit(self, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        """Refuse who does not know the token. It is read each time: a new one needs no restart."""
        file = self.parts.settings.fleet_token
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            remedy = "`site.yml --tags fleet` puts it in place"
            raise Refused(503, f"the token can't be read: {error.strerror}", str(file), remedy) from error
        shown = credentials.credentials if credentials else ""
        if not token or not hmac.compare_digest(shown.encode(), token.encode()):
            what = "the token is not the site's" if shown else "no token was sent"
            raise Refused(401, what, "header Authorization", "Send `Authorization: Bearer <fleet_token>`")


def openapi_text() -> str:
    """What can be asked, as OpenAPI."""
    return json.dumps(build(None).openapi(), indent=1, sort_keys=True) + "\n"
