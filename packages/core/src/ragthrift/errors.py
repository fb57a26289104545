"""Every error that ragthrift raises.

ThriftError
├── SetupError                          something only the user can put right; never failed open
│   ├── ConfigurationError (ValueError)     a setting is wrong; names the field
│   ├── MissingExtra (ImportError)          an optional dependency is not installed; carries the pip line
│   └── MissingModel (FileNotFoundError)    a model file is not there; carries the command that brings it
├── RemoteError                         a remote model answered with an error or with nonsense
└── DataError (ValueError)              a data file breaks its schema; names file, line and field
"""

from __future__ import annotations


class ThriftError(Exception):
    """The root of every error that ragthrift raises."""


class SetupError(ThriftError):
    """Something that only the user can put right, so that failing open would hide it for good."""


class ConfigurationError(SetupError, ValueError):
    """A setting is wrong: the message names the field, its value and what to do."""


class MissingExtra(SetupError, ImportError):
    """An optional dependency is not installed: the message carries the pip line."""


class MissingModel(SetupError, FileNotFoundError):
    """A model file is missing or differs from its pinned hash: the message carries the command that brings it."""


class RemoteError(ThriftError):
    """A remote model failed or answered with something that cannot be trusted."""


class DataError(ThriftError, ValueError):
    """A data file breaks its schema: the message names file, line and field."""
