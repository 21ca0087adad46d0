"""The brokers that all tests of a process share: one for each set of settings that the tests ask for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Dict, Mapping, Tuple

import ottla


class Pool:
    """Shared brokers. The one without further settings is kept until the end, of the others the last ones used."""

    #: Brokers with settings of markers that run at a time.
    MAX_OTHERS = 4

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._common = ottla.Broker(**self._options)
        self._others: "OrderedDict[Tuple[Tuple[str, str], ...], ottla.Broker]" = OrderedDict()

    def get(self, settings: Mapping[str, object]) -> ottla.Broker:
        """Return the broker with these settings in addition to the common ones, running."""
        broker = self._broker(settings)
        if not broker.is_running:
            # At the first use; or a test has stopped or killed it, and the next one gets an empty broker.
            broker.stop()
            broker.start()
        return broker

    def stop(self) -> None:
        """Stop all brokers."""
        for broker in [self._common, *self._others.values()]:
            broker.stop()
        self._others.clear()

    def _broker(self, settings: Mapping[str, object]) -> ottla.Broker:
        if not settings:
            return self._common
        key = tuple(sorted((name, str(value)) for name, value in settings.items()))
        broker = self._others.get(key)
        if broker is None:
            while len(self._others) >= self.MAX_OTHERS:
                self._others.popitem(last=False)[1].stop()
            merged: Dict[str, object] = {**self._options.get("settings", {}), **settings}
            broker = self._others[key] = ottla.Broker(**{**self._options, "settings": merged})
        self._others.move_to_end(key)
        return broker
