"""A request -> passed on, or refused with the reason: wrong host, another site's page, no token."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# On every answer. Nothing but the page's own files is loaded, nobody frames it, and no script can
# make markup out of a string: in browsers with trusted types, innerHTML raises an error.
HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
)
# What has headers.
_STARTS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


class Guard:
    """Lets through what comes from this page, and shows the token where one is wanted.

    names: hosts that a request may be for, in lower case, besides the address it came to: a page
    of another site could have its own name lead here (DNS rebinding).
    token: what a request must carry, as a cookie, a bearer token, or, once, in the page's address;
    None: nothing. cookie: its name.
    """

    def __init__(
        self, app: ASGIApp, names: Collection[str], token: str | None, cookie: str
    ) -> None:
        self._app, self._names, self._token, self._cookie = app, names, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._foreign(scope) or self._unknown(scope) or _body(scope)
        headers = [(name.encode(), value.encode()) for name, value in HEADERS]
        if refusal is None and self._token and _asked_token(scope):
            secure = "; Secure" if scope["scheme"] == "https" else ""
            cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict{secure}"
            headers.append((b"set-cookie", cookie.encode()))

        async def sent(message: Message) -> None:
            if message["type"] in _STARTS:
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await (refusal or self._app)(scope, receive, sent)

    def _foreign(self, scope: Scope) -> PlainTextResponse | None:
        """For another host than this one, or sent by another site's page."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            return _refusal(400, "One host was wanted.")
        name = match["name"].lower().strip("[]").removesuffix(".")
        if name not in self._names and name != _number(scope["server"][0]):
            return _refusal(
                421,
                "This host is not known here. Start with --allow-host and its name.",
            )
        origins = headers.getlist("origin")
        if scope["type"] == "websocket" and not origins:
            return _refusal(403, "A page's origin was wanted.")
        # Whatever stands between may have added or taken off the encryption.
        own = {f"{scheme}://{hosts[0]}".lower() for scheme in ("http", "https")}
        if not own.issuperset(origin.lower() for origin in origins):
            return _refusal(403, "Another site's page asks for this.")
        return None

    def _unknown(self, scope: Scope) -> PlainTextResponse | None:
        """Without the token."""
        if self._token is None:
            return None
        connection = HTTPConnection(scope)
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        given = (
            _asked_token(scope)
            or (bearer if scheme.lower() == "bearer" else None)
            or connection.cookies.get(self._cookie)
        )
        if not given:
            return _refusal(
                401,
                "A token is wanted. Open the link that the program printed when it started.",
                {"www-authenticate": "Bearer"},
            )
        # Compared in a time that does not tell how much of it was right.
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return _refusal(
                403,
                "This is another token. Open the link that the program printed.",
            )
        return None


def _asked_token(scope: Scope) -> str | None:
    """The token in the address of the page itself, the only one that people open."""
    if scope["type"] != "http" or scope["path"] != "/":
        return None
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [None])[0]


def _number(address: str) -> str:
    """An address of this machine as a browser has it: IPv4, where it came as IPv6."""
    number = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(number, "ipv4_mapped", None) or number)


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    return PlainTextResponse(reason + "\n", status, headers)


def _body(scope: Scope) -> PlainTextResponse | None:
    """For a body, which nothing here takes."""
    headers = Headers(scope=scope)
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return None
    return _refusal(413, "No body was wanted.", {"connection": "close"})
