"""The generated list of decision records in docs/README.md."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "adr"


def render(folder: Path = FOLDER) -> str:
    """One line for each record: its number and title, linked."""
    return "\n".join(f"- [{_title(path)}](adr/{path.name})" for path in sorted(folder.glob("*.md")))


def _title(path: Path) -> str:
    return path.read_text().partition("\n")[0].lstrip("# ").strip()
