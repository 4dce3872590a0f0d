"""The variables that processes of ours are started with."""

import os


def surroundings() -> dict[str, str]:
    """This process's own but for those that would tell Aldis something else than a test does."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ALDIS_")}
