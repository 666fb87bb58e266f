"""SHOW IT: console, API and Grafana boards; read-only on history."""
