"""Write the boards as the JSON files Grafana provisions: `python -m dashboards.grafana.build`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import site

BOARDS: dict[str, Callable[[], Dashboard]] = {"site": site.board}
"""Every board, by the name of its file."""
FOLDER = Path("deploy/grafana/dashboards")


def text(name: str) -> str:
    """Return the JSON of a board, the same for the same code."""
    made = json.dumps(BOARDS[name](), cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True)
    return made + "\n"


def build(folder: Path) -> list[Path]:
    """Write every board into `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.json" for name in BOARDS]
    for file in files:
        file.write_text(text(file.stem), encoding="utf-8")
    return files


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
