"""The description of the socket for machines: AsyncAPI 3.0, of `/v1/connect` and the same frames over HTTP.

Told from the server's side: it receives commands and sends the rest.
"""

from typing import Any

from aldis import __version__
from aldis.contract.examples import example_of
from aldis.contract.schemas import Schema, reference_to
from aldis.gateway import told
from aldis.gateway.answers import ANSWERS
from aldis.gateway.app import PATH, SUBPROTOCOL
from aldis.gateway.close_codes import REASONS, REMEDIES
from aldis.gateway.described import command_name, commands, frame_schemas, reply_name

Json = dict[str, Any]
CLOSE_CODES_KEY = "x-close-codes"
ERROR_REPLY = "ErrorReply"
NEWS = ("MessageNews", "StateNews", "EphemeralNews", "PingNews", "DisconnectNews")
STREAMED = ("ConnectReply", "MessageNews", "StateNews", "EphemeralNews", "DisconnectNews")  # over HTTP
_TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token."}
_HOST = "127.0.0.1:8080"


def build_asyncapi() -> Json:
    """The whole document."""
    schemas = frame_schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Aldis socket",
            "version": __version__,
            "description": told.OVERVIEW,
            "license": {"name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "socket": _server("ws"),
            "http": _server("http"),
        },
        "channels": {"socket": _socket(), "events": _stream("events"), "sync": _stream("sync")},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(name, schemas) for name in frames()},
            "schemas": schemas,
            "securitySchemes": {"userToken": _TOKEN},
        },
    }


def _server(protocol: str) -> Json:
    return {
        "host": "{host}",
        "protocol": protocol,
        "description": f"`{protocol}s` where TLS is ended in front of it.",
        "variables": {"host": {"default": _HOST, "description": "Where Aldis is reached."}},
    }


def frames() -> list[str]:
    """The names of all kinds of frames, those of clients first."""
    replies = [reply_name(name) for name, shape in ANSWERS.items() if shape is not None]
    return [*map(command_name, commands()), *replies, ERROR_REPLY, *NEWS]


def _message(name: str, schemas: dict[str, Schema]) -> Json:
    summary = told.FRAMES.get(name, "")
    return {
        "name": name,
        "summary": summary,
        "payload": reference_to(name),
        "examples": [{"payload": example_of(schemas[name], schemas)}],
    }


def _socket() -> Json:
    headers = {
        "Sec-WebSocket-Protocol": {
            "type": "string",
            "const": SUBPROTOCOL,
            "description": "May be left out; another one is refused with 400.",
        },
        "Authorization": {"type": "string", "description": "`Bearer` and the token, instead of in `connect`."},
    }
    return {
        "address": PATH,
        "title": "WebSocket",
        "description": told.SOCKET,
        "servers": [{"$ref": "#/servers/socket"}],
        "messages": _messages(frames()),
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": headers},
                "bindingVersion": "0.1.0",
            }
        },
        CLOSE_CODES_KEY: [
            {"code": int(code), "reason": reason, "reconnect": code.reconnect, "remedy": REMEDIES[code]}
            for code, reason in REASONS.items()
        ],
    }


def _stream(name: str) -> Json:
    title, description = told.STREAMS[name]
    return {
        "address": f"/v1/{name}",
        "title": title,
        "description": description,
        "servers": [{"$ref": "#/servers/http"}],
        "messages": _messages(STREAMED),
    }


def _messages(names: list[str] | tuple[str, ...]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations() -> Json:
    found = {name: _command(name) for name in commands()}
    found |= {f"tell{name}": _news("socket", [name], told.FRAMES.get(name, "")) for name in NEWS}
    for name, (title, _) in told.STREAMS.items():
        found[name] = _news(name, STREAMED, title) | {
            "security": [{"$ref": "#/components/securitySchemes/userToken"}],
            "bindings": {"http": {"method": "GET", "query": told.QUERIES[name], "bindingVersion": "0.3.0"}},
        }
    return found


def _command(name: str) -> Json:
    answers = [*([reply_name(name)] if ANSWERS.get(name) is not None else []), ERROR_REPLY]
    return {
        "action": "receive",
        "title": name,
        "summary": told.FRAMES.get(command_name(name), ""),
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{command_name(name)}"}],
        "reply": {
            "channel": {"$ref": "#/channels/socket"},
            "messages": [{"$ref": f"#/channels/socket/messages/{answer}"} for answer in answers],
        },
    }


def _news(channel: str, names: list[str] | tuple[str, ...], summary: str) -> Json:
    return {
        "action": "send",
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }
