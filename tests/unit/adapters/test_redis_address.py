import pytest

from aldis.adapters.redis.address import RedisAddress, parse_address

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(kind="server", hosts=(("cache", 6379),))),
        (
            "redis://:s3cr3t@127.0.0.1:7000/3",
            RedisAddress(kind="server", hosts=(("127.0.0.1", 7000),), database=3, password=SECRET),
        ),
        (
            "rediss://aldis:p%40ss%2Fword@[::1]:7000?ca=/etc/ca.pem",
            RedisAddress(
                kind="server", hosts=(("::1", 7000),), username="aldis", password="p@ss/word", tls=True,
                ca_file="/etc/ca.pem",
            ),
        ),
        (
            "redis+sentinel://:s3cr3t@s1,s2:26380,s3/main/2?sentinel_password=other",
            RedisAddress(
                kind="sentinel", hosts=(("s1", 26379), ("s2", 26380), ("s3", 26379)), service="main", database=2,
                password=SECRET, sentinel_password="other",
            ),
        ),
        (
            "rediss+cluster://c1:7001,c2",
            RedisAddress(kind="cluster", hosts=(("c1", 7001), ("c2", 6379)), tls=True),
        ),
    ],
)  # fmt: skip
def test_each_kind_of_url_is_read(url: str, address: RedisAddress) -> None:
    """One server, Sentinels, a Cluster; with and without accounts, TLS, numbers of databases."""
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin with"),
        ("http://:s3cr3t@cache", "must begin with"),
        ("redis://", "no host"),
        ("redis://:s3cr3t@", "no host"),
        ("redis://:s3cr3t@a,b", "several hosts"),
        ("redis://:s3cr3t@a:99999", "a port is a number"),
        ("redis://:s3cr3t@a:b", "a port is a number"),
        ("redis://:s3cr3t@[::1", "not a URL"),
        ("redis://:s3cr3t@a/x", "number of a database"),
        ("redis://:s3cr3t@a/1/2", "number of a database"),
        ("redis+sentinel://:s3cr3t@a", "/SERVICE"),
        ("redis+sentinel://:s3cr3t@a/main/x", "number of a database"),
        ("redis+cluster://:s3cr3t@a/1", "leave the path out"),
        ("redis://:s3cr3t@a?timeout=5", "unknown option timeout"),
    ],
)
def test_a_bad_url_is_told_without_it(url: str, words: str) -> None:
    """The message says what to change and shows no password."""
    with pytest.raises(ValueError, match=words) as caught:
        parse_address(url)

    assert SECRET not in str(caught.value)


def test_an_address_shows_no_password() -> None:
    """It may be logged by mistake."""
    address = parse_address(f"redis+sentinel://a:{SECRET}@s1/main?sentinel_password={SECRET}")

    assert SECRET not in repr(address)
