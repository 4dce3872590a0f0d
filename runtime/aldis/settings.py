"""What an operator can set: `ALDIS_*` variables, and files for what must stay secret.

`ALDIS_JWT__SECRET_FILE=/run/secrets/jwt` reads a value from a file, and every file in `ALDIS_SECRETS_DIR` counts as the
variable of its name (`jwt__secret`). A plain variable wins over a file. Only this module and bootstrap read the
environment; no error here ever shows a value.
"""

import ipaddress
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from aldis.domain.amqp_address import parse_amqp_address

PREFIX = "ALDIS_"
SECRET_BYTES = 32  # as wide as the hash of HS256
SECRET_FILE = "secret"  # noqa: S105 - the name of the file, in the data folder

Secret = Annotated[SecretStr, Field(min_length=SECRET_BYTES)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


Algorithm = Literal["HS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
HMAC = "HS256"
Words = BeforeValidator(lambda value: value.replace(",", " ").split() if isinstance(value, str) else value)
Lines = BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)  # a secret may hold commas
INTERNAL = (".localhost", ".cluster.local", ".internal", ".svc")  # names that stay on the machine or in the cluster


def _check_key_url(url: str) -> str:
    """Keys that come over the open network in the clear are anybody's keys."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"https", "http"} or not host or parts.username is not None or parts.fragment:
        raise ValueError("must be an https address without a user name")
    if parts.scheme == "http" and not _is_internal(host):
        raise ValueError("must be https; http is for this machine and for names within a cluster")
    return url


def _is_internal(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.endswith(INTERNAL)


def _check_rabbitmq_url(url: SecretStr) -> SecretStr:
    parse_amqp_address(url.get_secret_value())
    return url


class InvalidSettings(Exception):
    """A setting is wrong; the message names each one and what is wrong with it, never its value.

    `args` has a line for each mistake.
    """

    def __str__(self) -> str:
        return "; ".join(str(mistake) for mistake in self.args)


class JwtSettings(BaseModel):
    """How user tokens are signed and for whom they must be. No secret: the one in the data folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: Secret | None = None
    previous_secrets: Annotated[tuple[Secret, ...] | None, NoDecode, Lines] = None
    jwks_url: Annotated[str, AfterValidator(_check_key_url)] | None = None
    jwks_ttl_seconds: float = Field(default=300, ge=10, le=24 * 3600)
    algorithms: Annotated[tuple[Algorithm, ...] | None, NoDecode, Words] = None
    audience: Word | None = None
    issuer: Word | None = None
    leeway_seconds: int = Field(default=30, ge=0, le=300)

    @property
    def allowed(self) -> frozenset[str]:
        """The algorithms that count; without a setting all that there are keys for."""
        return frozenset(self.algorithms if self.algorithms is not None else get_args(Algorithm))

    @model_validator(mode="after")
    def _some_key_counts(self) -> Self:
        if self.jwks_url is None and HMAC not in self.allowed:
            raise ValueError(f"algorithms without {HMAC} need a jwks_url")
        if self.jwks_url is not None and self.allowed == {HMAC}:
            raise ValueError(f"a jwks_url needs algorithms besides {HMAC}")
        return self


class LimitSettings(BaseModel):
    """What one user, one key or one message may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages_per_second: float = Field(default=5, gt=0)
    burst: int = Field(default=20, ge=1)
    key_messages_per_second: float = Field(default=1000, gt=0)
    key_burst: int = Field(default=2000, ge=1)
    connections_per_user: int = Field(default=10, ge=1)
    devices_per_user: int = Field(default=20, ge=1)
    content_bytes: int = Field(default=32 * 1024, ge=1)
    recipients: int = Field(default=1000, ge=1)
    connections: int = Field(default=50_000, ge=1)
    connections_per_address: int = Field(default=5_000, ge=1)
    address_handshakes_per_second: float = Field(default=100, gt=0)
    address_handshake_burst: int = Field(default=2_000, ge=1)
    address_requests_per_second: float = Field(default=2_000, gt=0)
    address_request_burst: int = Field(default=10_000, ge=1)
    address_failures_per_second: float = Field(default=10, gt=0)
    address_failure_burst: int = Field(default=200, ge=1)
    exempt_loopback: bool = False


class Settings(BaseSettings):
    """All of it, with what suits one machine as the default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    admin_host: str | None = None  # where /metrics and /v1/admin are served apart; else with all the rest
    admin_port: int | None = Field(default=None, ge=0, le=65535)
    database_url: str = Field(default_factory=lambda given: default_database_url(given["data_dir"]), repr=False)
    redis_url: SecretStr | None = None
    rabbitmq_url: Annotated[SecretStr, AfterValidator(_check_rabbitmq_url)] | None = None
    database_read_url: str | None = Field(default=None, repr=False)
    database_migrate: bool = False  # by whoever starts; SQLite has but one process, and needs no leave
    database_writers: int = Field(default=2, ge=1, le=64)
    jwt: JwtSettings = JwtSettings()
    limits: LimitSettings = LimitSettings()
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...] | None, NoDecode, Words] = None
    ping_interval: float = Field(default=25, gt=0)  # seconds between signs of life asked of a socket
    pre_stop_seconds: float = Field(default=0, ge=0)  # how long a leaving process is still sent new clients
    drain_seconds: float = Field(default=10, ge=0)
    stream_retention_days: int = Field(default=30, ge=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes these three by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the command line says, then variables and files."""
        return init_settings, VariablesAndFiles(settings_cls)


class VariablesAndFiles(EnvSettingsSource):
    """Environment variables, where `NAME_FILE` stands for the content of a file."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return with_files(super()._load_env_vars())


def with_files(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Put the contents of files in the place of `aldis_…_file` and `aldis_secrets_dir` (names are lower-case)."""
    prefix, ending = PREFIX.lower(), "_file"
    own = {name: value for name, value in variables.items() if name.startswith(prefix) and value}
    folder = own.pop(f"{prefix}secrets_dir", None)
    mounted = sorted(path for path in Path(folder).iterdir() if path.is_file()) if folder is not None else []
    named = {name.removesuffix(ending): Path(value) for name, value in own.items() if name.endswith(ending) and value}
    files = {f"{prefix}{path.name.lower().removeprefix(prefix)}": path for path in mounted} | named
    plain = {name: value for name, value in own.items() if not name.endswith(ending)}
    read = {name: path.read_text(encoding="utf-8").strip() for name, path in files.items() if name not in plain}
    return {**read, **plain}


def default_database_url(data_dir: Path) -> str:
    """SQLite in the data folder."""
    return f"sqlite:///{data_dir / 'aldis.db'}"


def load_settings(**given: Any) -> Settings:
    """Read the settings; what is given and not None wins. Raises `InvalidSettings` with a line for each mistake."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettings(*_lines(error)) from None
    except OSError as error:
        raise InvalidSettings(f"cannot read {error.filename}: {error.strerror}") from error


def check_cluster(settings: Settings) -> None:
    """Raise `InvalidSettings` unless all is set that several processes have to share."""
    wanted = {
        "DATABASE_URL": settings.database_url.startswith(("postgresql://", "postgres://")),
        "REDIS_URL": settings.redis_url is not None,
        "RABBITMQ_URL": settings.rabbitmq_url is not None,
        "JWT__SECRET": settings.jwt.secret is not None or HMAC not in settings.jwt.allowed,
    }
    words = {
        "DATABASE_URL": "must begin with postgresql://, as several processes cannot share a file",
        "REDIS_URL": "is missing: gateways ring each other through Redis (redis://, rediss://)",
        "RABBITMQ_URL": "is missing: work goes to workers through RabbitMQ (amqp://, amqps://)",
        "JWT__SECRET": "is missing: set it, or ALDIS_JWT__SECRET_FILE, or JWT__ALGORITHMS without HS256",
    }
    mistakes = [f"{PREFIX}{name} {words[name]}" for name, is_there in wanted.items() if not is_there]
    if mistakes:
        raise InvalidSettings(*mistakes)


def _lines(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{'__'.join(str(part) for part in mistake['loc']).upper()}: {mistake['msg']}"
        for mistake in error.errors(include_input=False, include_url=False)
        if mistake["type"] != "default_factory_not_called"  # another mistake's echo
    ]


def user_token_secret(settings: Settings) -> str:
    """The secret that user tokens are signed with: the one that was set, else the data folder's."""
    secret = settings.jwt.secret
    return secret.get_secret_value() if secret is not None else embedded_secret(settings.data_dir)


def accepted_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets whose tokens count: the one that signs, and earlier ones; none when HS256 is not allowed."""
    if HMAC not in settings.jwt.allowed:
        return ()
    previous = settings.jwt.previous_secrets or ()
    return (user_token_secret(settings), *(secret.get_secret_value() for secret in previous))


def embedded_secret(data_dir: Path) -> str:
    """The data folder's secret, made on first use with mode 0600; two that start at once agree on one."""
    path = data_dir / SECRET_FILE
    with suppress(FileNotFoundError):
        return _checked(path)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = data_dir / f".{SECRET_FILE}.{secrets.token_hex(8)}"
    _write_private(draft, secrets.token_urlsafe(SECRET_BYTES))
    try:
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, this never replaces what another process has just made
    finally:
        draft.unlink()
    return _checked(path)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _checked(path: Path) -> str:
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < SECRET_BYTES:
        raise InvalidSettings(f"{path} must hold at least {SECRET_BYTES} characters; delete it to have one made")
    return secret
