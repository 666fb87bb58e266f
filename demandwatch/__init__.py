"""The map: loads the settings and wires the stages."""

__version__ = "0.1.0"
