"""Counters of one client, from its making on."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Plain numbers that only grow; read them whenever you like."""

    frames: int = 0
    """Raw frames received, of every kind."""
    events: int = 0
    """Events applied: stored and passed on."""
    duplicates: int = 0
    """Events dropped because their position had been applied before."""
    order_violations: int = 0
    """Jumps seen in a gapless source."""
    bad_frames: int = 0
    """Frames that did not have the protocol's shape; each ends its connection."""
    errors: int = 0
    """Error frames that answer no command, such as a refused acknowledgement."""
    acks: int = 0
    """Acknowledgement frames sent."""
    sends: int = 0
    """Send frames written, repeats included."""
    retries: int = 0
    """Sends that were put back because the server asked for it or the connection was lost."""
    connects: int = 0
    """Connections that the server welcomed."""
    reconnects: int = 0
    """Of these, all but the first."""
    resets: int = 0
    """Times that the server could not resume and the state was thrown away."""
    shed: int = 0
    """Events read but not applied because the application was behind, and ephemeral ones dropped."""
