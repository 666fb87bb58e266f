"""Counters, gauges and histograms for Prometheus; the one user of its client library.

There is no global registry: whoever wires the stages makes one `Metrics` and passes it on.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics:
    """Makes metrics named `demandwatch_*`; asking twice for a name returns the same metric."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter `demandwatch_<name>_total`."""
        if name not in self._counters:
            full = f"demandwatch_{name}"
            self._counters[name] = Counter(full, doc, labels, registry=self._registry)
        return self._counters[name]

    def gauge(self, name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
        """Return the gauge `demandwatch_<name>`."""
        if name not in self._gauges:
            full = f"demandwatch_{name}"
            self._gauges[name] = Gauge(full, doc, labels, registry=self._registry)
        return self._gauges[name]

    def histogram(
        self,
        name: str,
        doc: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = _SECONDS,
    ) -> Histogram:
        """Return the histogram `demandwatch_<name>`; buckets are upper bounds in its unit."""
        if name not in self._histograms:
            full = f"demandwatch_{name}"
            made = Histogram(full, doc, labels, registry=self._registry, buckets=tuple(buckets))
            self._histograms[name] = made
        return self._histograms[name]

    def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """Return one sample by its full name, e.g. `demandwatch_rejected_total`; None if absent."""
        return self._registry.get_sample_value(name, labels)

    def render(self) -> bytes:
        """Return the text exposition format, served with CONTENT_TYPE."""
        return generate_latest(self._registry)
