"""Any channel that can be declared, for tests of what is told of them."""

from hypothesis import strategies as st

from aldis.domain.channels import Audience, Channel, ChannelType, ChatPolicy, History, WhoMayChat
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import Priority

SECONDS = st.integers(1, 24 * 3600).map(lambda seconds: seconds * 1000)


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    """Any channel that can be declared."""
    type_ = draw(st.sampled_from(ChannelType))
    initial = draw(SECONDS)
    who = draw(st.sampled_from(WhoMayChat)) if type_ is ChannelType.CHAT else WhoMayChat.ANYONE
    is_broadcast = type_ is ChannelType.BROADCAST
    return Channel(
        name="some",
        type=type_,
        display_name=draw(st.text(max_size=200)),
        priority=draw(st.sampled_from(Priority)),
        time_to_live_ms=draw(st.none() | SECONDS),
        max_content_bytes=draw(st.none() | st.integers(1, 2**31 - 1)),
        messages_per_second=draw(st.none() | st.integers(1, 2**31 - 1)),
        retry=RetryPolicy(
            initial_ms=initial,
            factor=draw(st.floats(1, 10)),
            max_ms=draw(st.integers(initial // 1000, 24 * 3600)) * 1000,
            max_attempts=draw(st.integers(1, 50)),
        ),
        audience=draw(st.sampled_from(Audience)) if is_broadcast else Audience.SUBSCRIBERS,
        history=draw(st.sampled_from(History)) if is_broadcast else History.VISIBLE,
        chat=ChatPolicy(who=who, agents=("support:*", "ann") if who is WhoMayChat.AGENTS else ()),
    )
