"""Alembic's entry point: everything is in libs.events.migrate."""

from libs.events.migrate import run_env

run_env()
