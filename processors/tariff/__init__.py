"""Tariffs: periods of use, maximum demand by period, power-factor adjustment and the bill."""
