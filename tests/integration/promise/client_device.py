"""A device that uses the Python client as an application does; its raw frames go to a witness first."""

import asyncio
from collections import Counter

from aldis_client import AldisClient, Backoff, ClientClosed, SendResult
from integration.promise import wire
from integration.promise.ledger import Ledger
from integration.promise.witness import Witness

QUICK = Backoff(base_seconds=0.05, cap_seconds=0.2)


class ClientDevice:
    """One device of a user; `run` keeps it connected until it is cancelled."""

    def __init__(self, url: str, token: str, witness: Witness, ledger: Ledger) -> None:
        """Name it by its witness."""
        self.witness = witness
        self.ledger = ledger
        self.user = witness.user
        self.is_up = asyncio.Event()
        self.outstanding = 0
        self.shown: Counter[str] = Counter()
        self.client = AldisClient(
            url,
            token,
            witness.device,
            on_frame=lambda raw: witness.judge(wire.decode(raw)),
            reconnect_backoff=QUICK,
            send_backoff=QUICK,
            proxy=None,
        )

    async def run(self) -> None:
        """Show what comes."""
        async with self.client as client:
            self.is_up.set()
            async for event in client.events():
                if event.message is not None:
                    self.shown[str(event.message["id"])] += 1

    def send(self, to: str, client_id: str, priority: str = "normal") -> None:
        """Send a message; the client sees to it that it is answered."""
        self.ledger.sending(client_id, self.user, to)
        self.outstanding += 1
        sending = self.client.send_nowait(
            to_user=to, text=f"this is {client_id}", client_id=client_id, priority=priority
        )
        sending.add_done_callback(lambda done: self._on_done(client_id, done))

    def _on_done(self, client_id: str, sending: asyncio.Future[SendResult]) -> None:
        self.outstanding -= 1
        error = None if sending.cancelled() else sending.exception()
        if sending.cancelled() or isinstance(error, ClientClosed):
            return
        if error is not None:
            self.ledger.faults.append(f"{client_id}: {error!r}")
            return
        result = sending.result()
        self.ledger.answered(
            client_id, result.message_id, result.conversation_id, result.seq, duplicate=result.duplicate
        )
