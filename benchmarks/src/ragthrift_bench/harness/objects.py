"""Objects that a user names on the command line as `module:object`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys

from ragthrift.errors import ConfigurationError


def load_object(spec: str, option: str) -> object:
    """The object that `module:object` names, looked for in the working directory first.

    A plain function with no parameters is called for the object, so that a chain can be built on demand.
    """
    module, _, name = spec.partition(":")
    if not module or not name:
        raise ConfigurationError(f"{option} {spec!r}: expected module:object")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(f"{option} {spec!r}: cannot import {module!r} ({error})") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"{option} {spec!r}: {module!r} has no {name!r}")
        found = getattr(found, part)
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        return found()
    return found
