import json
import os
import re
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest

from aldis import __version__
from aldis.adapters.sql.inspection import Inspection, inspect_sqlite
from aldis.adapters.sql.schema_state import SchemaState, known_revisions
from aldis.adapters.sql.store import open_sql_store
from aldis.cli.checks import configuration, database, jwks, machine, server, storage
from aldis.cli.checks.finding import Finding, Outcome, fail, guarded, ok, to_size, warn
from aldis.cli.checks.secret import check_secret
from aldis.cli.examining import render, summarize, to_json
from aldis.cli.terminal import paint_coloured, paint_plain
from aldis.domain.errors import Unavailable
from aldis.domain.ids import new_id
from aldis.settings import Settings, load_settings

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
pytestmark = pytest.mark.timeout(20)  # databases are made, and a disk may be busy
SECRET = "a-secret-of-at-least-thirty-two-bytes"
NOBODY = 65534
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests is looked at."""
    for name in [name for name in os.environ if name.startswith("ALDIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database as a server leaves it."""
    path = tmp_path / "aldis.db"
    async with open_sql_store(f"sqlite:///{path}", now_ms=NOW_MS):
        pass
    return path


def settings_of(folder: Path) -> Settings:
    return load_settings(data_dir=folder)


def outcome_of(finding: Finding) -> tuple[str, str]:
    """How a finding ended, after seeing that whatever is not well has a remedy."""
    assert (finding.remedy is None) == (finding.outcome is Outcome.OK)
    return finding.name, finding.outcome.value


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def look(path: Path, *, now_ms: int = NOW_MS) -> dict[str, Finding]:
    """The findings about a database file, by name."""
    findings = database.check_database(
        path,
        inspect=lambda path: inspect_sqlite(path, seconds=None),
        revisions=known_revisions(),
        now_ms=now_ms,
    )
    return {finding.name: finding for finding in findings}


# The machine


@pytest.mark.parametrize(
    ("version", "outcome"), [((3, 10, 14), "fail"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "fail")]
)
def test_only_a_supported_python_will_do(version: tuple[int, ...], outcome: str) -> None:
    """What the tests do not run on is said to be wrong."""
    assert outcome_of(machine.check_python(version)) == ("python", outcome)


@pytest.mark.parametrize(
    ("limits", "outcome", "remedy"),
    [
        ((20_000, 20_000), "ok", ""),
        ((1024, 4096), "warn", "`ulimit -n 2064` "),
        ((1024, resource.RLIM_INFINITY), "warn", "`ulimit -n 2064` "),
        ((1024, 1024), "warn", "hard limit"),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), "ok", ""),
    ],
)
def test_sockets_need_open_files(limits: tuple[int, int], outcome: str, remedy: str) -> None:
    """A limit below what is expected is told with the number that would do."""
    finding = machine.check_open_files(2000, limits=lambda _: limits)

    assert outcome_of(finding) == ("open_files", outcome)
    assert remedy in (finding.remedy or "")


@pytest.mark.parametrize(
    ("limit", "used", "outcome", "words"),
    [
        (None, None, "ok", "1.0 GiB available"),
        ("max", "900", "ok", "1.0 GiB available"),
        (str(512 * MIB), str(400 * MIB), "warn", "112 MiB available"),
    ],
)
def test_the_smaller_of_machine_and_container_counts(
    tmp_path: Path, limit: str | None, used: str | None, outcome: str, words: str
) -> None:
    """A container's limit is what a server in it has."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {MIB} kB\n")
    for name, text in (("memory.max", limit), ("memory.current", used)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")

    finding = machine.check_memory(tmp_path / "meminfo", tmp_path)

    assert outcome_of(finding) == ("memory", outcome)
    assert finding.detail == words


# The settings


def test_each_mistake_in_the_settings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once, by name and without values."""
    monkeypatch.setenv("ALDIS_PORT", "99999")
    monkeypatch.setenv("ALDIS_JWT__SECRET", "too-short")
    monkeypatch.setenv("ALDIS_LIMITS__BURTS", "3")

    settings, findings = configuration.check_settings(None)

    assert settings is None
    assert {outcome_of(finding) for finding in findings} == {("settings", "fail")}
    assert sorted(finding.detail.partition(":")[0] for finding in findings) == [
        "ALDIS_JWT__SECRET",
        "ALDIS_LIMITS__BURTS",
        "ALDIS_PORT",
    ]
    assert "too-short" not in str(findings)


def test_a_name_that_nobody_reads_is_told_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A misspelt variable has no effect, which nothing else would say."""
    monkeypatch.setenv("ALDIS_DATA_DRI", "/somewhere")
    monkeypatch.setenv("ALDIS_KEY", "ak_secret")

    settings, findings = configuration.check_settings(tmp_path)

    (finding,) = findings
    assert settings is not None
    assert outcome_of(finding) == ("settings", "warn")
    assert "ALDIS_DATA_DRI" in finding.detail
    assert "ALDIS_DATA_DIR" in (finding.remedy or "")


# The data folder


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Be somebody who may not write into the folder."""
    folder.chmod(0o555)
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    """It is tried, not guessed from the mode."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (folder, tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)

    with without_rights(folder):
        finding = storage.check_folder(folder)

    assert outcome_of(finding) == ("data_folder", "fail")
    assert "cannot be written to: " in finding.detail
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("mode", "outcome"), [(0o700, "ok"), (0o750, "warn"), (0o755, "warn")])
def test_a_folder_should_be_closed_to_others(tmp_path: Path, mode: int, outcome: str) -> None:
    """Messages and the secret lie there."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)

    assert outcome_of(storage.check_folder(folder)) == ("data_folder", outcome)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Looking changes nothing; a file in its place is a failure."""
    (tmp_path / "taken").write_text("")

    assert outcome_of(storage.check_folder(tmp_path / "a" / "b")) == ("data_folder", "warn")
    assert outcome_of(storage.check_folder(tmp_path / "taken")) == ("data_folder", "fail")
    assert outcome_of(storage.check_folder(tmp_path / "taken" / "data")) == ("data_folder", "fail")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@dataclass(frozen=True)
class Disk:
    f_bavail: int
    f_frsize: int = 4096
    f_favail: int = 10
    f_files: int = 1000


@pytest.mark.parametrize(
    ("disk", "outcome"),
    [
        (Disk(MIB), "ok"),
        (Disk(100_000), "warn"),
        (Disk(0), "fail"),
        (Disk(MIB, f_favail=0), "fail"),
        (Disk(MIB, f_favail=0, f_files=0), "ok"),
    ],
)
def test_a_full_disk_fails_before_it_refuses_sends(tmp_path: Path, disk: Disk, outcome: str) -> None:
    """Bytes and inodes count; a file system that counts no inodes has enough."""
    assert outcome_of(storage.check_disk(tmp_path / "data", statvfs=lambda _: disk)) == ("disk", outcome)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("ext4", "ok"), ("nfs4", "warn"), ("fuse.sshfs", "warn"), ("tmpfs", "warn"), ("overlay", "warn")],
)
def test_a_file_system_that_is_no_local_disk_is_told(tmp_path: Path, kind: str, outcome: str) -> None:
    """The deepest mount above the folder counts, and of two at one place the later one."""
    place = str(tmp_path).replace(" ", r"\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / / rw - xfs /dev/sda rw\n2 1 8:2 / {place} rw - btrfs none rw\n3 1 8:3 / {place} rw - {kind} x rw\n"
        "4 1 8:4 / /elsewhere rw shared:1 - nfs x rw\n"
    )

    finding = storage.check_filesystem(tmp_path / "data", mounts)

    assert outcome_of(finding) == ("filesystem", outcome)
    assert kind in finding.detail


# The secret


@pytest.mark.parametrize(
    ("text", "mode", "outcome"),
    [(SECRET, 0o600, "ok"), (SECRET, 0o400, "ok"), (SECRET, 0o640, "fail"), ("short", 0o600, "fail")],
)
def test_a_secret_must_be_long_and_closed(tmp_path: Path, text: str, mode: int, outcome: str) -> None:
    """What is in it is never shown."""
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)

    finding = check_secret(settings_of(tmp_path))

    assert outcome_of(finding) == ("secret", outcome)
    assert text not in f"{finding.detail} {finding.remedy}".replace("--", "")


def test_a_secret_may_be_missing_or_set_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is made by looking, and none is needed when a variable gives it."""
    missing = check_secret(settings_of(tmp_path))
    monkeypatch.setenv("ALDIS_JWT__SECRET", SECRET)

    assert outcome_of(missing) == ("secret", "warn")
    assert outcome_of(check_secret(settings_of(tmp_path))) == ("secret", "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_is_no_text_fails(tmp_path: Path) -> None:
    """It is told, not tried."""
    (tmp_path / "secret").write_bytes(b"\xff" * 40)

    assert outcome_of(check_secret(settings_of(tmp_path))) == ("secret", "fail")


# The database


def test_a_good_database_is_well_in_every_way(file: Path) -> None:
    """Nothing is found where nothing is wrong."""
    assert {outcome_of(finding)[1] for finding in look(file).values()} == {"ok"}
    assert set(look(file)) == {"database", "schema", "integrity", "log", "messages"}


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """The first start makes it."""
    findings = look(tmp_path / "aldis.db")

    assert [outcome_of(finding) for finding in findings.values()] == [("database", "warn")]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    """With the way back: a backup."""
    path = tmp_path / "aldis.db"
    path.write_bytes(b"not a database " * 1000)

    finding = look(path)["database"]

    assert outcome_of(finding) == ("database", "fail")
    assert "backup" in (finding.remedy or "")


def test_a_damaged_page_fails(file: Path) -> None:
    """The database still opens; only looking at its pages shows it."""
    execute(file, "PRAGMA journal_mode=DELETE")
    page = 4096
    raw = bytearray(file.read_bytes())
    raw[2 * page :] = b"\x5a" * (len(raw) - 2 * page)
    file.write_bytes(raw)

    findings = look(file)

    assert "fail" in {outcome_of(finding)[1] for finding in findings.values()}
    assert any("backup" in (finding.remedy or "") for finding in findings.values())


def test_damage_is_told_in_sqlites_words() -> None:
    """And what was not looked at in time is not said to be well."""
    damaged = database.check_pages(
        Inspection(tables=1, schema=SchemaState("0001", None), damage=("row 1 missing from index x",))
    )
    hurried = database.check_pages(Inspection(tables=1, schema=SchemaState("0001", None), is_complete=False))

    assert outcome_of(damaged) == ("integrity", "fail")
    assert "row 1 missing" in damaged.detail
    assert "--full" in hurried.detail


def test_a_check_of_the_pages_ends_in_time(file: Path) -> None:
    """Without time it says so instead of going on."""
    execute(
        file,
        "CREATE TABLE load (id INTEGER PRIMARY KEY, text TEXT)",
        "CREATE INDEX load_of ON load (text)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
        " INSERT INTO load SELECT i, 'x' || i FROM n",
    )

    assert inspect_sqlite(file, seconds=0).is_complete is False
    assert inspect_sqlite(file, seconds=None).is_complete is True


@pytest.mark.parametrize(
    ("statements", "outcome", "words"),
    [
        (["UPDATE schema_revision SET version_num = '0001'"], "warn", "0001 is older"),
        (["UPDATE schema_revision SET version_num = '9999'"], "ok", "9999, newer than this program's"),
        (["UPDATE alembic_version SET version_num = '9999'"], "fail", "programs that know 9999"),
        (["DROP TABLE schema_revision", "UPDATE alembic_version SET version_num = '0003'"], "warn", "0003 is older"),
        (["DROP TABLE schema_revision", "DROP TABLE alembic_version"], "fail", "not the tables of Aldis"),
    ],
)
def test_a_schema_of_another_version_is_told(file: Path, statements: list[str], outcome: str, words: str) -> None:
    """Older ones are migrated, newer and foreign ones need another program or another folder."""
    execute(file, *statements)

    finding = look(file)["schema"]

    assert outcome_of(finding) == ("schema", outcome)
    assert words in finding.detail


def test_an_empty_file_has_no_schema_yet(tmp_path: Path) -> None:
    """SQLite takes it for a new database, and so does a server."""
    (tmp_path / "aldis.db").touch()

    assert outcome_of(look(tmp_path / "aldis.db")["schema"]) == ("schema", "warn")


def test_a_long_log_is_told(tmp_path: Path) -> None:
    """It is begun anew at a quarter of that, if all goes well."""
    log = tmp_path / "aldis.db-wal"
    with log.open("wb") as file:
        file.truncate(database.LONG_LOG_BYTES + 1)  # takes no room on the disk

    assert outcome_of(database.check_log(log)) == ("log", "warn")


def test_a_message_from_the_future_is_told() -> None:
    """Then this clock has been set back."""
    assert outcome_of(database.check_newest(new_id(NOW_MS + 3_600_000), NOW_MS)) == ("messages", "warn")
    assert outcome_of(database.check_newest(new_id(NOW_MS), NOW_MS)) == ("messages", "ok")


# The server


def serving(
    *, ready: int = 200, status: str = "ready", version: str | None = None, behind: float = 0, livez: int = 200
) -> httpx2.Client:
    """A client of a server that answers like this, with a clock that is `behind` ours by so many seconds."""
    date = format_datetime(NOW - timedelta(seconds=behind), usegmt=True)
    dependencies = {"database": {"seconds_since_success": 41.0 if ready != 200 else 1.0}}
    answers = {
        "/livez": (livez, {"status": "alive"}),
        "/startupz": (503 if status == "starting" else 200, {}),
        "/readyz": (ready, {"status": status, "dependencies": dependencies}),
        "/openapi.json": (200, {"info": {"version": version or __version__}}),
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        code, body = answers[request.url.path]
        return httpx2.Response(code, json=body, headers={"date": date})

    return httpx2.Client(base_url="http://aldis.test", transport=httpx2.MockTransport(answer))


def ask(client: httpx2.Client, *, is_held: bool = True) -> dict[str, Finding]:
    with client:
        return {finding.name: finding for finding in server.check_server(client, lambda: NOW, is_held=is_held)}


def test_a_server_that_is_well_is_said_to_be() -> None:
    """Ready, of this version, and with the same time."""
    assert [outcome_of(finding) for finding in ask(serving()).values()] == [
        ("server", "ok"),
        ("version", "ok"),
        ("clock", "ok"),
    ]


@pytest.mark.parametrize(
    ("client", "name", "outcome", "words"),
    [
        (serving(ready=503, status="draining"), "server", "warn", "draining"),
        (serving(ready=503, status="starting"), "server", "warn", "not begun"),
        (serving(ready=503, status="unusable"), "server", "fail", "unusable: database answered 41 s ago"),
        (serving(livez=404), "server", "fail", "does not answer like Aldis (404)"),
        (serving(version="9.9"), "version", "warn", "9.9"),
        (serving(behind=90), "clock", "warn", "90 s ahead of the server's"),
        (serving(behind=-90), "clock", "warn", "90 s behind the server's"),
    ],
)
def test_what_is_wrong_with_a_server_is_told(client: httpx2.Client, name: str, outcome: str, words: str) -> None:
    """Each in its own words."""
    finding = ask(client)[name]

    assert outcome_of(finding) == (name, outcome)
    assert words in finding.detail


@pytest.mark.parametrize(("is_held", "words"), [(True, "one runs on this data folder"), (False, "does not answer")])
def test_a_server_that_does_not_answer_fails(is_held: bool, words: str) -> None:
    """With one on the folder it hangs or listens elsewhere; without one it is not there."""

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    client = httpx2.Client(base_url="http://aldis.test", transport=httpx2.MockTransport(refuse))
    finding = ask(client, is_held=is_held)["server"]

    assert outcome_of(finding) == ("server", "fail")
    assert words in finding.detail


KEY = {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # of RFC 8037


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (json.dumps({"keys": [KEY]}), "ok", "holds 1 key that can be used"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), "fail", "no key that can be used"),
        (json.dumps({"keys": []}), "fail", "no key that can be used"),
        ("<html>", "fail", "not JSON"),
        (None, "fail", "the answer has the status 500"),
    ],
)
def test_signing_keys_must_be_there(answer: str | None, outcome: str, words: str) -> None:
    """Only such as a server would use count; the address is shown without what may be secret in it."""

    def fetch(url: str) -> bytes:
        if answer is None:
            raise Unavailable("the answer has the status 500")
        return answer.encode()

    finding = jwks.check_jwks("https://me:pass@idp.test/keys?token=t0p", {"EdDSA", "RS256"}, fetch=fetch)

    assert outcome_of(finding) == ("jwks", outcome)
    assert words in finding.detail
    assert "https://idp.test/keys" in finding.detail
    assert not {"pass", "t0p"} & set(re.split(r"\W+", finding.detail))


# The report


def test_a_system_that_refuses_a_check_is_a_finding() -> None:
    """One folder that is closed does not end the whole examination."""

    def check() -> Finding:
        raise PermissionError(13, "Permission denied", "/data")

    (finding,) = guarded("disk", check)

    assert outcome_of(finding) == ("disk", "fail")


FINDINGS = [ok("python", "3.11.7"), warn("disk", "10 MiB free", "Make room."), fail("secret", "\x1b[2J", "Mend it.")]


def test_plain_lines_have_the_outcome_in_words() -> None:
    """With the remedy under it, and nothing that could drive a terminal."""
    lines = [line for finding in FINDINGS for line in render(finding, paint_plain)]

    assert lines == [
        "ok    python        3.11.7",
        "warn  disk          10 MiB free",
        "                    Make room.",
        r"fail  secret        \x1b[2J",
        "                    Mend it.",
    ]
    assert summarize(FINDINGS) == "3 checks: 1 failed, 1 to look at."
    assert summarize(FINDINGS[:1]) == "All is well."


def test_a_terminal_gets_marks_and_colours() -> None:
    """One mark for each outcome."""
    marks = [render(finding, paint_coloured)[0].split("  ")[0] for finding in FINDINGS]

    assert marks == ["\x1b[32m✓\x1b[0m", "\x1b[33m!\x1b[0m", "\x1b[31m✗\x1b[0m"]


def test_programs_get_the_whole_report() -> None:
    """Stable names, and null where there is no remedy."""
    report = to_json(FINDINGS, None)

    assert list(report) == ["ok", "version", "data_dir", "checks"]
    assert (report["ok"], report["data_dir"]) == (False, None)
    assert report["checks"][0] == {"name": "python", "outcome": "ok", "detail": "3.11.7", "remedy": None}


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1536, "2 KiB"), (5 * MIB, "5 MiB"), (3 * 1024 * MIB, "3.0 GiB")]
)
def test_sizes_are_for_people(size: int, shown: str) -> None:
    """In the unit that fits."""
    assert to_size(size) == shown
