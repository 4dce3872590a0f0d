"""An issuer of users' tokens for tests: keys of every kind, tokens signed with them, and a server that publishes them.

The server is as good or as bad as `Issuer.mood` says: it answers, or dies, hangs, drips, or answers what is no key set.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

HOST = "127.0.0.1"
Json = dict[str, Any]
Mood = Literal["well", "dead", "hangs", "drips", "garbage", "huge", "error", "redirects", "compressed"]
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
RSA_KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(3)]  # made here, where no test's time runs


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """One of the keys of a kind: `RSA`, `RSA1024`, `P-256`, `P-384`, `P-521`, `Ed25519`."""
    match kind:
        case "RSA":
            return RSA_KEYS[number]
        case "RSA1024":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind]
            return ec.generate_private_key(curve)


def kind_of(algorithm: str) -> str:
    """The kind of key that an algorithm needs."""
    return {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}.get(algorithm, "RSA")


def public_jwk(kind: str, kid: str | None, number: int = 0, **more: Any) -> Json:
    """The public half of a key as it is published."""
    key = private_key(kind, number).public_key()
    maker: Any = {"RSA": jwt.algorithms.RSAAlgorithm, "Ed2": jwt.algorithms.OKPAlgorithm}.get(
        kind[:3], jwt.algorithms.ECAlgorithm
    )
    jwk: Json = maker.to_jwk(key, as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, **({"kid": kid} if kid is not None else {}), **more}


def key_set(*jwks: Json) -> bytes:
    """A document with these keys."""
    return json.dumps({"keys": jwks}).encode()


def signed(algorithm: str, kid: str | None, *, number: int = 0, now: int | None = None, **claims: Any) -> str:
    """A token of alice, signed with the key of the algorithm's kind."""
    given = {"sub": "alice", "exp": (now if now is not None else int(time.time())) + 600, **claims}
    headers = {"kid": kid} if kid is not None else None
    return jwt.encode(given, private_key(kind_of(algorithm), number), algorithm=algorithm, headers=headers)


@dataclass
class Issuer:
    """A running server; `document` is what it publishes and `asked` how often somebody has come."""

    document: bytes
    mood: Mood = "well"
    asked: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://{HOST}:{self.port}/keys"

    async def wait_asked(self, times: int) -> None:
        """Wait until somebody has come so often."""
        async with asyncio.timeout(20):
            while self.asked < times:
                await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                await self._answer(writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        match self.mood:
            case "well":
                writer.write(_response(self.document))
            case "dead":
                return
            case "hangs":
                await self._while("hangs", writer, b"")
                writer.write(_response(self.document))
            case "drips":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                await self._while("drips", writer, b" ")
            case "garbage":
                writer.write(_response(b"<html>we are moving house</html>"))
            case "huge":
                writer.write(_response(key_set() + b" " * 10_000_000))
            case "error":
                writer.write(_response(self.document, "500 Internal Server Error"))
            case "redirects":
                writer.write(_response(b"", "302 Found", "Location: /elsewhere\r\n"))
            case "compressed":
                writer.write(_response(self.document, extra="Content-Encoding: gzip\r\n"))
        await writer.drain()

    async def _while(self, mood: Mood, writer: asyncio.StreamWriter, piece: bytes) -> None:
        while self.mood == mood and not writer.is_closing():
            writer.write(piece)
            await asyncio.sleep(0.02)

    def hang_up(self) -> None:
        """End what is open."""
        for writer in self._writers:
            writer.close()


def _response(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n".encode() + body


@asynccontextmanager
async def issuing(document: bytes) -> AsyncGenerator[Issuer]:
    """An issuer that publishes `document`."""
    issuer = Issuer(document)
    server = await asyncio.start_server(issuer.serve, HOST, 0)
    issuer.port = server.sockets[0].getsockname()[1]
    try:
        yield issuer
    finally:
        issuer.mood = "dead"
        issuer.hang_up()
        server.close()
        await server.wait_closed()
