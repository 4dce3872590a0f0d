import string

import pytest

from aldis_operator.resources.derived import Root
from aldis_operator.resources.quantity import to_bytes

ROOT = Root(b"0123456789abcdef0123456789abcdef")


def test_the_same_root_gives_the_same_passwords() -> None:
    """So a Secret that was deleted comes back equal. This one is on disks and must not change with a version."""
    assert ROOT.derive("postgres") == "tTvC8D4nTD5TUZ_4I15vSo_uBwF0ii46myScZap8S24"


def test_passwords_have_nothing_in_common() -> None:
    """By purpose, by number and by root."""
    made = [ROOT.derive("a"), ROOT.derive("b"), ROOT.derive("a", 2), Root(b"x" * 32).derive("a")]

    assert len(set(made)) == len(made)


def test_a_password_needs_no_quoting() -> None:
    """Neither in a URL nor in any server's file."""
    safe = set(string.ascii_letters + string.digits + "-_")

    assert all(set(ROOT.derive(str(number))) <= safe for number in range(50))


def test_a_root_is_not_shown_and_not_short() -> None:
    """Not in a log by accident; less than 32 bytes would not be as wide as what is made of them."""
    assert "0123" not in repr(ROOT)
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Root(b"short")


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("1", 1), ("1k", 1000), ("1Ki", 1024), ("1.5Gi", 1610612736), ("2G", 2 * 10**9), ("1500m", 1), ("1Ti", 2**40)],
)
def test_quantities_are_read_as_kubernetes_writes_them(quantity: str, number: int) -> None:
    """With powers of ten and of two."""
    assert to_bytes(quantity) == number


@pytest.mark.parametrize("quantity", ["", "Gi", "-1", "1e3", "1 Gi"])
def test_what_is_no_quantity_is_not_guessed(quantity: str) -> None:
    """The definition does not admit it either."""
    with pytest.raises(ValueError, match="is no quantity"):
        to_bytes(quantity)
