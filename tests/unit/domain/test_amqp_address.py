import pytest

from aldis.domain.amqp_address import AmqpAddress, parse_amqp_address

SECRET = "s3cr3t/word"


def test_an_address_may_name_several_nodes() -> None:
    """Each with or without a port; what was quoted is read as it was meant."""
    address = parse_amqp_address("amqp://al%40dis:s3cr3t%2Fword@one,two:5673,[::1]:5674,[fe80::1]/my%2Fvhost")

    assert address == AmqpAddress(
        nodes=(("one", 5672), ("two", 5673), ("::1", 5674), ("fe80::1", 5672)),
        user="al@dis",
        password=SECRET,
        vhost="my/vhost",
        is_encrypted=False,
    )
    assert SECRET not in repr(address)


def test_an_encrypted_address_may_name_files() -> None:
    """It has another port, and knows whom to trust and as whom to appear."""
    address = parse_amqp_address("amqps://host/?cafile=/run/ca.pem&certfile=/run/own.pem&keyfile=/run/own.key")

    assert address == AmqpAddress(
        nodes=(("host", 5671),),
        user="guest",
        password="guest",
        vhost="/",
        is_encrypted=True,
        cafile="/run/ca.pem",
        certfile="/run/own.pem",
        keyfile="/run/own.key",
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://host", "amqp://"),
        ("host:5672", "amqp://"),
        ("amqp://s3cr3t@", "name a host"),
        ("amqp://one,,two", "name a host"),
        ("amqp://one:port", "name a host"),
        ("amqp://one:0", "name a host"),
        ("amqp://one:65536", "name a host"),
        ("amqp://[::1", "name a host"),
        ("amqp://host/v#s3cr3t", "amqp://"),
        ("amqp://host?cafile=/ca.pem", "for amqps"),
        ("amqps://host?no_verify_ssl=1", "only cafile"),
        ("amqps://host?cafile=", "only cafile"),
        ("amqps://host?certfile=/own.pem", "belong together"),
    ],
)
def test_a_wrong_address_is_told_without_being_shown(url: str, words: str) -> None:
    """The words say what is wrong and nothing of what was given."""
    with pytest.raises(ValueError, match=words) as refused:
        parse_amqp_address(url)

    assert "s3cr3t" not in str(refused.value)
