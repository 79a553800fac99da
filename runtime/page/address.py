"""Where a page is served, and how -> a socket that listens, a certificate, the links to it."""

from __future__ import annotations

import errno
import ipaddress
import re
import secrets
import socket
import ssl
from dataclasses import dataclass

from edgemood.errors import EdgemoodError

# The environment variable with a token of one's own, and what a token may consist of: whatever a
# link and a cookie carry as it is, and long enough not to be guessed.
TOKEN = "EDGEMOOD_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{16,200}")
# An address that RFC 5737 keeps for documentation: nothing is sent there, it is only asked which
# of this machine's addresses would be used.
_FAR = ("192.0.2.1", 9)


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or number, and a port; 0 is any that is free."""

    host: str
    port: int

    def listen(self) -> socket.socket:
        """A socket that listens there; raises EdgemoodError where that can't be."""
        try:
            family, _, _, _, place = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            both = self.host == "::" and socket.has_dualstack_ipv6()
            return socket.create_server(place[:2], family=family, dualstack_ipv6=both)
        except (OSError, UnicodeError) as error:
            found = (getattr(error, "strerror", "") or str(error)).partition(":")[0]
            if isinstance(error, UnicodeError):
                found = "it is no host's name or address"
            elif error.errno == errno.EADDRINUSE:
                found = "another program holds the port"
            elif error.errno == errno.EADDRNOTAVAIL:
                found = "this machine has no such address"
            elif isinstance(error, socket.gaierror):
                found = "its name is unknown to the network"
            raise EdgemoodError(
                f"{self} cannot be served at: {found}. Pass another address with --serve, for "
                f"example: --serve {Address(self.host, self.port + 1 if self.port else 8765)}"
            ) from error

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs of this machine reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def own_names(address: Address) -> set[str]:
    """How a browser may name this machine, in lower case; its addresses need no list."""
    name = socket.gethostname().lower()
    return {"localhost", name, f"{name}.local", address.host.lower()}


def best_host(address: Address) -> str:
    """What a person is to type for the host: where all are served, the address most used."""
    if address.host not in ("0.0.0.0", "::"):
        return address.host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR)
            return str(probe.getsockname()[0])
        except OSError:  # there is no network
            return f"{socket.gethostname()}.local"


def make_token(given: str | None, is_local: bool) -> str | None:
    """The token to demand: the one given, a new one, or none where the loopback needs none.

    Raises EdgemoodError where the one given is weak or can't be part of a link.
    """
    if given:
        if not _TOKEN.fullmatch(given):
            raise EdgemoodError(
                f"{TOKEN} is no token: 16 to 200 letters, digits and - _ . ~ were wanted. Set "
                "another, or none, and one is made."
            )
        return given
    return None if is_local else secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM form. keyfile: None where the certificate's file has the key as well."""

    certfile: str
    keyfile: str | None = None

    def context(self) -> ssl.SSLContext:
        """For a server; raises EdgemoodError where the files won't do."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # Without a password given here, one would be asked for on the terminal.
            context.load_cert_chain(self.certfile, self.keyfile, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            found = error.strerror if isinstance(error, OSError) else str(error)
            if isinstance(error, ssl.SSLError):
                found = error.reason or "it is no certificate with its key in PEM form"
                found = found.lower().replace("_", " ")
            names = self.certfile + (f" with {self.keyfile}" if self.keyfile else "")
            raise EdgemoodError(
                f"{names} cannot be used to encrypt: {found}. Pass a certificate and its key, both "
                "in PEM form and the key without a password, with --certfile and --keyfile."
            ) from error
        return context
