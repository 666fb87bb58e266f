"""All faults of the settings at once."""

from collections.abc import Iterable

from collector.yamlfile import Fault


class ConfigurationError(ValueError):
    """The configuration has faults; `faults` lists all of them."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(one) for one in self.faults))
