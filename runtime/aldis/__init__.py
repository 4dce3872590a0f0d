"""Aldis: a messaging platform for chat, notifications and broadcasts."""

from importlib.metadata import version

__version__ = version("aldis")
