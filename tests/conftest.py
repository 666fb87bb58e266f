"""Fixtures every test may use; the servers are in services.py."""

import os
import sys
from pathlib import Path

import pytest
import structlog

sys.path.insert(0, str(Path(__file__).parent))  # tests import waiting.py, services.py by name
sys.path.insert(0, str(Path(__file__).parent / "end_to_end"))  # and program.py

pytest_plugins = [
    "services",
    "services_disk",
    "services_dlt645",
    "services_influx",
    "services_lines",
    "services_modbus",
    "services_mqtt",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where skips are forbidden, a skip by any means is a failure, with its reason."""
    report = yield
    if os.environ.get("DEMANDWATCH_NO_SKIPS") == "1" and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden (DEMANDWATCH_NO_SKIPS=1): {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def log_settings_are_the_test_s_own():
    """What one test tells the log to leave out, the next one may wait for."""
    structlog.reset_defaults()


LONGEST = ("test_steel_year.py", "test_bdg2_import.py", "test_sigkill.py")


def pytest_collection_modifyitems(items):
    """Begin with the files that take minutes, so that no worker is left alone with one."""
    begin = {name: place for place, name in enumerate(LONGEST)}
    rank = {True: len(LONGEST), False: len(LONGEST) + 1}
    items.sort(key=lambda one: begin.get(one.path.name, rank["end_to_end" in one.path.parts]))
