"""Routes of the API's tokens."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response

from gyrus.contract import problem
from gyrus.contract.operator import NewToken, TokenRequest, TokenView
from gyrus.contract.times import rfc3339
from gyrus.server.dependencies import CallerDep, TokensDep
from gyrus.server.problems import UnreadableRequest, responses
from gyrus.state.records import Token

router = APIRouter(prefix="/tokens")

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@router.get("", responses=responses())
async def list_tokens(tokens: TokensDep) -> list[TokenView]:
    """List the tokens that are not revoked, by name. The platform's first token is not among them."""
    return [_view(token) for token in await tokens.active()]


@router.post("", status_code=201, responses=responses(problem.BAD_REQUEST, problem.CONFLICT))
async def create_token(request: TokenRequest, tokens: TokensDep, caller: CallerDep) -> NewToken:
    """Create a token. The answer has it, and it cannot be read again."""
    if not NAME.fullmatch(request.name):
        raise UnreadableRequest(
            f"name: {request.name[:80]!r} is not the name of a token; write up to 63 lower-case letters, "
            "digits and -"
        )
    secret = await tokens.create(request.name, caller, read_only=request.read_only)
    return NewToken(name=request.name, read_only=request.read_only, token=secret)


@router.delete(
    "/{name}",
    status_code=204,
    response_class=Response,
    responses=responses(problem.UNKNOWN_TOKEN, problem.CONFLICT),
)
async def revoke_token(
    name: Annotated[str, Path(max_length=200)], tokens: TokensDep, caller: CallerDep
) -> Response:
    """Revoke a token at once. Requests and streams that use it end."""
    await tokens.revoke(name, caller)
    return Response(status_code=204)


def _view(token: Token) -> TokenView:
    return TokenView(
        name=token.name,
        read_only=token.read_only,
        created_at=rfc3339(token.created_at),
        created_by=token.created_by,
    )
