"""Finding a message that the caller may edit and delete: he sent it, or may write in the name of the user who did.

Messages do not say who of a user and the backends that write in his name sent them: all of these are their sender.
"""

from aldis.domain.callers import Caller, Scope, UserCaller
from aldis.domain.errors import Rejected
from aldis.domain.ids import MessageId
from aldis.domain.messages import Message
from aldis.ports.store import Conversation, Store
from aldis.services.message_status import find_visible_message


async def find_own_message(message_id: MessageId, caller: Caller, *, store: Store) -> tuple[Message, Conversation]:
    """The message with its conversation. Raises `Rejected`: what the caller may not see is not there for him."""
    message, conversation = await find_visible_message(message_id, caller, store=store)
    check_sender(message, caller)
    return message, conversation


def check_sender(message: Message, caller: Caller) -> None:
    """Raise `Rejected("forbidden")` unless the caller, who may see the message, is its sender."""
    if isinstance(caller, UserCaller):
        is_sender = message.sender.user == caller.user
    elif message.sender.user is not None:
        caller.check_scope(Scope.SEND_AS)
        is_sender = True
    else:
        caller.check_scope(Scope.SEND)
        is_sender = message.sender.backend == caller.name
    if not is_sender:
        raise Rejected("forbidden", "only the sender of a message can edit or delete it", field="message_id")
