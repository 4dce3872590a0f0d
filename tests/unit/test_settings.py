import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aldis.settings import (
    InvalidSettings,
    embedded_secret,
    load_settings,
    user_token_secret,
    with_files,
)

SECRET = "s" * 43


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ALDIS_DATA_DIR", "ALDIS_PORT", "ALDIS_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_serve_one_machine() -> None:
    """Without any setting it listens to this machine only and keeps all in ./data."""
    settings = load_settings()

    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, Path("data"))
    assert settings.database_url == "sqlite:///data/aldis.db"


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line's option stands above a variable; one that was not given (None) does not."""
    monkeypatch.setenv("ALDIS_PORT", "9000")

    assert load_settings(port=9001).port == 9001
    assert load_settings(port=None).port == 9000


def test_the_database_follows_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving the data folder moves the database in it."""
    monkeypatch.setenv("ALDIS_DATA_DIR", "/srv/aldis")

    assert load_settings().database_url == "sqlite:////srv/aldis/aldis.db"


def test_nested_settings_are_set_with_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ALDIS_LIMITS__BURST` sets `limits.burst`."""
    monkeypatch.setenv("ALDIS_LIMITS__BURST", "7")

    assert load_settings().limits.burst == 7


def test_a_secret_is_read_from_the_file_that_a_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`…_FILE` names a file whose content, without the line's end, is the value."""
    (tmp_path / "jwt").write_text(f"{SECRET}\n", encoding="utf-8")
    monkeypatch.setenv("ALDIS_JWT__SECRET_FILE", str(tmp_path / "jwt"))

    assert user_token_secret(load_settings()) == SECRET


def test_files_of_the_secrets_folder_count_as_variables(tmp_path: Path) -> None:
    """Each file in `ALDIS_SECRETS_DIR` is the variable of its name; a plain variable wins."""
    (tmp_path / "jwt__secret").write_text(SECRET, encoding="utf-8")
    (tmp_path / "port").write_text("1", encoding="utf-8")

    read = with_files({"aldis_secrets_dir": str(tmp_path), "aldis_port": "2", "home": "/root"})

    assert read == {"aldis_jwt__secret": SECRET, "aldis_port": "2"}


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which variable is wrong and never what stood in it."""
    monkeypatch.setenv("ALDIS_JWT__SECRET", "too-short")

    with pytest.raises(InvalidSettings) as refused:
        load_settings()

    assert "ALDIS_JWT__SECRET" in str(refused.value)
    assert "too-short" not in str(refused.value)


def test_an_unknown_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt nested variable is an error, not silence."""
    monkeypatch.setenv("ALDIS_LIMITS__BRUST", "7")

    with pytest.raises(InvalidSettings, match="ALDIS_LIMITS__BRUST"):
        load_settings()


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is named with the reason."""
    monkeypatch.setenv("ALDIS_JWT__SECRET_FILE", "/nowhere/jwt")

    with pytest.raises(InvalidSettings, match="/nowhere/jwt"):
        load_settings()


def test_the_embedded_secret_is_made_once_and_private(tmp_path: Path) -> None:
    """The first call makes it with mode 0600, the second reads the same."""
    made = embedded_secret(tmp_path / "data")

    assert embedded_secret(tmp_path / "data") == made
    assert len(made) >= 43
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret"]


def test_two_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    """Whoever comes second takes what the first has made."""
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: embedded_secret(tmp_path / "data"), range(16)))

    assert len(secrets) == 1


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """A secret that anyone could guess is worse than none."""
    (tmp_path / "secret").write_text("", encoding="utf-8")

    with pytest.raises(InvalidSettings, match="at least 32"):
        embedded_secret(tmp_path)
