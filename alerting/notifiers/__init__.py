"""Notifiers: one file a kind of channel."""
