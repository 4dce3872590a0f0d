"""Prints a definition, or the reference page."""

import sys

from aldis_operator.crds.definitions import definitions
from aldis_operator.crds.printing import to_yaml
from aldis_operator.crds.reference import to_markdown


def main(arguments: list[str]) -> int:
    """Print what the one argument names; 2 when it names nothing."""
    texts = dict.fromkeys(definitions(), to_yaml)
    match arguments:
        case ["reference"]:
            sys.stdout.write(to_markdown(definitions()))
        case [plural] if plural in texts:
            sys.stdout.write(to_yaml(definitions()[plural]))
        case _:
            sys.stderr.write(f"usage: python -m aldis_operator.crds {' | '.join([*definitions(), 'reference'])}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
