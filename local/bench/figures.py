"""What a figure is, and how the table of them is printed and kept."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured value; smaller is better, and it meets its target at or below it."""

    name: str
    value: float
    unit: str
    baseline: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Return whether the figure meets its target."""
        if self.target is None:
            return "–"
        return "✓" if self.value <= self.target else "✗"


def print_table(figures: list[Figure]) -> None:
    """Print the figures for a person."""
    width = max(len(figure.name) for figure in figures)
    print(f"\n{'figure':<{width}}  {'value':>8}  {'target':>7}     unit, baseline")
    print("─" * (width + 70))
    for figure in figures:
        target = "" if figure.target is None else f"{figure.target:g}"
        print(
            f"{figure.name:<{width}}  {figure.value:>8.2f}  {target:>7}  {figure.verdict}"
            f"  {figure.unit}; {figure.baseline}"
        )


def write(figures: list[Figure], path: Path) -> None:
    """Write `{name: {value, unit, baseline, target}}`."""
    table = {}
    for figure in figures:
        entry = asdict(figure)
        table[entry.pop("name")] = entry
    path.write_text(json.dumps(table, indent=2) + "\n")
