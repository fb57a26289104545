"""Events: what happened, as plain records. Exporters listen; an engine never waits for one or fails because of one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, such as `compress.fallback`. Fields hold numbers and short words, never prompts."""

    name: str
    fields: Mapping[str, object] = field(default_factory=dict[str, object])


Listener = Callable[[Event], None]
_listeners: list[Listener] = []


def emit(name: str, **fields: object) -> None:
    """Tell every listener; a listener that raises is logged and the request goes on."""
    event = Event(name, fields)
    for listener in tuple(_listeners):
        try:
            listener(event)
        except Exception:  # an exporter must never break a request
            log.warning("listener %r failed on event %s", listener, name, exc_info=True)


@contextmanager
def listen(listener: Listener) -> Generator[None]:
    """Send every event to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
