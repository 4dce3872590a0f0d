"""The data folder as the command line uses it: what it holds is used, and never made here by accident."""

import time
from pathlib import Path

from aldis.cli.failures import Failed
from aldis.cli.server import Server, server_at
from aldis.services.authenticate import sign_token
from aldis.settings import SECRET_FILE, InvalidSettings, Settings, load_settings, user_token_secret

SQLITE = "sqlite:///"
START = "start `aldis serve` once"


def load(data_dir: Path | None, *, host: str | None = None, port: int | None = None) -> Settings:
    """The settings; what the command line says wins. Raises `Failed`."""
    try:
        return load_settings(data_dir=data_dir, host=host, port=port)
    except InvalidSettings as error:
        raise Failed(str(error)) from error


def sign(settings: Settings, user: str, ttl: int, *, now: int | None = None) -> str:
    """A token for `user` that is valid for `ttl` seconds. Raises `Failed` when there is no secret yet."""
    rules, since = settings.jwt, int(time.time()) if now is None else now
    return sign_token(user, signing_secret(settings), ttl, since, audience=rules.audience, issuer=rules.issuer)


def signing_secret(settings: Settings) -> str:
    """The secret that tokens are signed with; unlike a server, this makes none."""
    path = settings.data_dir / SECRET_FILE
    if settings.jwt.secret is None and not path.exists():
        raise Failed(f"there is no secret in {settings.data_dir} yet: {START}, or set ALDIS_JWT__SECRET_FILE")
    try:
        return user_token_secret(settings)
    except InvalidSettings as error:
        raise Failed(str(error)) from error


def database_path(settings: Settings) -> Path | None:
    """The database's file; None when it is no file."""
    path = settings.database_url.removeprefix(SQLITE)
    return Path(path) if path != settings.database_url else None


def check_database(settings: Settings) -> None:
    """Raise `Failed` when the database is a file that is not there: a new one would be of no use to any server."""
    path = database_path(settings)
    if path is not None and not path.exists():
        raise Failed(f"there is no database in {settings.data_dir} yet: {START}, or say --data-dir")


def find_server(settings: Settings, given: Server | None) -> Server:
    """The server that was given, else the one that `aldis serve` runs with these settings."""
    if given is not None:
        return given
    if settings.port == 0:
        raise Failed("the port is any free one: say --url")
    return server_at(settings.host, settings.port)
