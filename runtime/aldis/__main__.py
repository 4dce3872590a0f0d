"""`aldis`, and `python -m aldis`."""

import sys


def main() -> None:
    """Run the command line; ends the process."""
    from aldis.cli.app import app  # noqa: PLC0415 - importing this module starts nothing

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no reason to fail
    app(prog_name="aldis")


if __name__ == "__main__":
    main()
