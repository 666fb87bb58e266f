"""Payload mappings: what devices that do not speak the canonical JSON mean. Pure."""
