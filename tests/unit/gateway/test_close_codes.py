import pytest

from aldis.domain.errors import CODES
from aldis.gateway.close_codes import REASONS, CloseCode, close_code_of

CONTRACT = {4001, 4002, 4003, 4004, 4005, 4400, 4401, 4403, 4409, 4429}


def test_the_close_codes_are_those_of_the_contract() -> None:
    """None is missing, none has been made up."""
    assert {int(code) for code in CloseCode} == CONTRACT


@pytest.mark.parametrize("code", list(CloseCode))
def test_forty_hundreds_come_back_and_forty_four_hundreds_do_not(code: CloseCode) -> None:
    """The number alone tells a client what to do."""
    assert code.reconnect is (4000 <= code <= 4099)
    assert code.reconnect is not (4400 <= code <= 4499)


@pytest.mark.parametrize("code", list(CloseCode))
def test_every_close_code_has_a_reason_that_fits_a_close_frame(code: CloseCode) -> None:
    """RFC 6455 §5.5: a control frame has 125 bytes, two of them the code."""
    assert 0 < len(REASONS[code].encode()) <= 123


@pytest.mark.parametrize("error", sorted(CODES))
def test_every_error_of_a_connect_leads_to_a_close_code(error: str) -> None:
    """A refused connect is always closed with a code of the contract."""
    assert close_code_of(error) in CONTRACT


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("unauthorized", 4401),
        ("forbidden", 4403),
        ("connection_limit", 4429),
        ("device_limit", 4429),
        ("rate_limited", 4004),
        ("bad_cursor", 4400),
        ("bad_request", 4400),
    ],
)
def test_what_refuses_a_connect_closes_with_its_own_code(error: str, code: int) -> None:
    """The contract's table."""
    assert close_code_of(error) == code


def test_a_server_that_cannot_now_asks_to_come_back() -> None:
    """Trouble of ours is never told as a fault of the client."""
    assert close_code_of("unavailable").reconnect
