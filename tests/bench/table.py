"""The one table that is printed: a block for each scenario, a line for each figure, a column for each rate."""

import math
from collections.abc import Mapping, Sequence

from bench.figures import Figure

_GAP = "  "


def render(heading: str, figures: Sequence[Figure]) -> str:
    """Return a scenario's block: the names, a cell per column, and the target where there is one."""
    columns = list(dict.fromkeys(figure.column for figure in figures))
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        rows.setdefault(_label(figure), {})[figure.column] = figure
    lines = [["", *columns, "target"]]
    lines += [
        [label, *(_cell(cells.get(column)) for column in columns), _verdict(cells)] for label, cells in rows.items()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join([heading, *(_line(line, widths) for line in lines)])


def _label(figure: Figure) -> str:
    return f"{figure.name} ({figure.unit})" if figure.unit else figure.name


def _cell(figure: Figure | None) -> str:
    if figure is None or math.isnan(figure.value):
        return "-"
    mark = "" if figure.is_met else "!"
    is_whole = figure.value == int(figure.value)
    return f"{mark}{figure.value:,.0f}" if is_whole or abs(figure.value) >= 1000 else f"{mark}{figure.value:,.2f}"


def _verdict(cells: Mapping[str, Figure]) -> str:
    """Tell the target, where it applies if not everywhere, and whether it is kept."""
    bound = [figure for figure in cells.values() if figure.target is not None]
    if not bound:
        return ""
    where = "" if len(bound) == len(cells) else f" at {bound[0].column}"
    return f"{bound[0].target}{where}: {'met' if all(figure.is_met for figure in bound) else 'MISSED'}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *middle, last = cells
    padded = [cell.rjust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
    return _GAP.join(["", first.ljust(widths[0]), *padded, last]).rstrip()
