"""Definitions as YAML, the same text every time."""

from typing import Any

import yaml

HEAD = "# Generated from the models of the operator; see operator/aldis_operator/crds.\n"


class _Dumper(yaml.SafeDumper):
    """Repeats a part that is there twice, as an anchor would not be read by people."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every part is written out."""
        del data
        return True


def to_yaml(document: dict[str, Any]) -> str:
    """One document."""
    return HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
