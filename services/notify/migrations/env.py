"""Alembic's entry."""  # noqa: INP001 - Alembic loads it by its path

from libs.events.migrate import run_env

run_env()
