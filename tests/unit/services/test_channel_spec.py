from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.channels import Audience, Channel, ChannelType, ChatPolicy, History, WhoMayChat
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import Priority
from aldis.services.apply_channel import duration_ms, parse_channel
from aldis.services.channel_spec import duration_text, spec_of, version_of

BACKOFFS = st.tuples(st.integers(1_000, 3_600_000), st.integers(3_600_000, 86_400_000), st.floats(1, 10))
COUNTS = st.none() | st.integers(1, 1_000_000)


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    type_ = draw(st.sampled_from(ChannelType))
    initial, longest, factor = draw(BACKOFFS)
    who = draw(st.sampled_from(WhoMayChat))
    agents = tuple(draw(st.lists(st.sampled_from(["ann", "support:*"])))) if who is WhoMayChat.AGENTS else ()
    is_broadcast = type_ is ChannelType.BROADCAST
    return Channel(
        name="orders",
        type=type_,
        display_name=draw(st.text("abc é", max_size=20)),
        priority=draw(st.sampled_from(Priority)),
        time_to_live_ms=draw(st.none() | st.integers(1_000, 10**10)),
        max_content_bytes=draw(COUNTS),
        messages_per_second=draw(COUNTS),
        retry=RetryPolicy(initial_ms=initial, max_ms=longest, factor=factor, max_attempts=draw(st.integers(1, 50))),
        audience=draw(st.sampled_from(Audience)) if is_broadcast else Audience.SUBSCRIBERS,
        history=draw(st.sampled_from(History)) if is_broadcast else History.VISIBLE,
        chat=ChatPolicy(who=who, agents=agents) if type_ is ChannelType.CHAT else ChatPolicy(),
    )


@given(channels())
def test_what_is_shown_declares_the_same_channel(channel: Channel) -> None:
    """The shown spec can be sent back as it is and changes nothing."""
    document = parse_channel(spec_of(channel), name=channel.name)

    assert document.channel == channel
    assert document.ignored == ()


@given(st.integers(1, 10**12))
def test_durations_come_back_as_they_were(ms: int) -> None:
    """Writing a duration loses nothing."""
    assert duration_ms(duration_text(ms)) == ms


def test_a_version_tells_policies_apart() -> None:
    """The same policy has the same version, whatever the way to it; another one has another."""
    plain = Channel(name="orders", type=ChannelType.CHAT)
    named = Channel(name="orders", type=ChannelType.CHAT, display_name="Orders")

    assert version_of(plain) == version_of(Channel(name="orders", type=ChannelType.CHAT))
    assert version_of(plain) != version_of(named)
