"""The brokers that the tests of a process share: one for each set of options that the tests ask for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Dict, Mapping

import ottla


class Pool:
    """Shared brokers. Those without settings of markers are kept until the end; of the others, the last ones used."""

    #: Brokers with settings of markers that run at a time.
    MAX_MARKED = 4

    def __init__(self) -> None:
        self._common: Dict[str, ottla.Broker] = {}
        self._marked: "OrderedDict[str, ottla.Broker]" = OrderedDict()

    def get(self, options: Mapping[str, Any], marked: Mapping[str, object]) -> ottla.Broker:
        """Return the broker with these options and with the settings of markers, running."""
        broker = self._broker(options, marked)
        if not broker.is_running:
            # At the first use; or a test has stopped or killed it, and the next one gets an empty broker.
            broker.stop()
            broker.start()
        return broker

    def stop(self) -> None:
        """Stop all brokers."""
        for broker in [*self._common.values(), *self._marked.values()]:
            broker.stop()

    def _broker(self, options: Mapping[str, Any], marked: Mapping[str, object]) -> ottla.Broker:
        merged = {**options, "settings": {**options["settings"], **marked}}
        key = repr(sorted(merged.items()))
        if not marked:
            return self._common.setdefault(key, ottla.Broker(**merged))
        broker = self._marked.get(key)
        if broker is None:
            while len(self._marked) >= self.MAX_MARKED:
                self._marked.popitem(last=False)[1].stop()
            broker = self._marked[key] = ottla.Broker(**merged)
        self._marked.move_to_end(key)
        return broker
