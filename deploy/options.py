"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.local.settings import StackSettings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the local stack keeps its state; OTKLIK_DATA_DIR or .data by default."),
]


def settings_of(data_dir: Path | None) -> StackSettings:
    """Read the settings, with the folder that was given."""
    return StackSettings() if data_dir is None else StackSettings(data_dir=data_dir)
