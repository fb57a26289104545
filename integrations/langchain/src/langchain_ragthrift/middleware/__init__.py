"""Middleware for `langchain.agents.create_agent`; needs the package `langchain`."""

from langchain_ragthrift.middleware.tools import LeanToolMiddleware

__all__ = ["LeanToolMiddleware"]
