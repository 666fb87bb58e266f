"""Fixtures every test may use; the servers are in services.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests import waiting.py, services.py by name
sys.path.insert(0, str(Path(__file__).parent / "end_to_end"))  # and program.py

pytest_plugins = ["services", "services_influx", "services_modbus", "services_mqtt"]
