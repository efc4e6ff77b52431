"""The HTTP app of ingest: `build_app` makes it."""

from services.ingest.api.app import build_app

__all__ = ["build_app"]
