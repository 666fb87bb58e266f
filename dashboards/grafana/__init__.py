"""Grafana boards as code; built into deploy/grafana, provisioned by file or pushed."""
