"""The demonstration: a small company, and a short real story over HTTP."""

from deploy.demo.story import play

__all__ = ["play"]
