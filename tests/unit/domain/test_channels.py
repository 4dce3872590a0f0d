import pytest

from aldis.domain.channels import Channel, ChannelType, ChatPolicy, WhoMayChat, chat_policies

AGENTS = ("support", "support:*")


@pytest.mark.parametrize(
    ("who", "first", "second", "exists", "allowed"),
    [
        (WhoMayChat.ANYONE, "ann", "bob", False, True),
        (WhoMayChat.AGENTS, "ann", "bob", False, False),
        (WhoMayChat.AGENTS, "ann", "bob", True, False),
        (WhoMayChat.AGENTS, "support", "bob", False, True),
        (WhoMayChat.AGENTS, "ann", "support", False, True),
        (WhoMayChat.AGENTS, "ann", "support:7", False, True),
        (WhoMayChat.AGENTS, "ann", "supporters", False, False),
        (WhoMayChat.EXISTING, "ann", "bob", False, False),
        (WhoMayChat.EXISTING, "ann", "bob", True, True),
        (WhoMayChat.NOBODY, "ann", "bob", True, False),
        (WhoMayChat.NOBODY, "support", "bob", True, False),
    ],
)
def test_a_policy_lets_two_write_to_each_other(
    who: WhoMayChat, first: str, second: str, exists: bool, allowed: bool
) -> None:
    """Whichever of them writes."""
    policy = ChatPolicy(who=who, agents=AGENTS)

    assert policy.lets(first, second, exists=exists) is allowed
    assert policy.lets(second, first, exists=exists) is allowed


def test_only_what_forbids_anything_is_a_policy_to_be_checked() -> None:
    """Where everybody may write to everybody, and where nobody chats at all, there is nothing to look at."""
    closed = ChatPolicy(who=WhoMayChat.NOBODY)
    channels = [
        Channel(name="open", type=ChannelType.CHAT),
        Channel(name="closed", type=ChannelType.CHAT, chat=closed),
        Channel(name="news", type=ChannelType.NOTIFICATION),
    ]

    assert chat_policies(channels) == {"closed": closed}
