"""The house's rules, checked by a machine: sizes, folders, one user a client, nothing foreign."""

import ast
import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("demandwatch", "collector", "processors", "alerting", "dashboards")
FILE_LINES = 300
FUNCTION_LINES = 40
README_LINES = 30

ONE_USER = {
    "fastexcel": {"collector/sources/filetable.py"},
    "prometheus_client": {"collector/metrics.py"},
    "deltalake": {"processors/history/delta.py"},
    "opendsm": {"processors/caltrack.py"},
    "pandas": {"processors/caltrack.py"},
    "influxdb_client": {"dashboards/influx.py"},
    "chinese_calendar": {"processors/calendar.py"},
    "cryptography": {"alerting/evidence/seal.py"},
    "fpdf": {"alerting/evidence/pdf.py"},
    "amqtt": {"collector/simulator/broker.py"},
    "grafana_client": {"dashboards/grafana/push.py"},
    "yaml": {"collector/yamlfile.py"},
    "google": {"collector/payloads/sparkplug.py"},
    "uvicorn": {"dashboards/console/server.py"},
    "paho": {
        "collector/forwardlink.py",
        "collector/sources/mqttlink.py",
        "collector/simulator/publisher.py",
    },
    "pymodbus": {"collector/sources/modbusclient.py"},
    "serial": {"collector/serialport.py"},
}
"""Third-party client: the files that may import it."""


def sources():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_files_and_functions_keep_to_their_budget():
    long = []
    for path in [*sources(), *sorted((ROOT / "tests").rglob("*.py"))]:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > FILE_LINES:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = _body_lines(node)
                if size > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {size} lines")
    assert not long, "\n".join(long)


def _body_lines(node):
    """Lines of a function without its docstring."""
    first = node.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    doc = first.end_lineno - first.lineno + 1 if told else 0
    return node.end_lineno - node.lineno + 1 - doc


def test_no_two_test_files_have_one_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_each_third_party_client_has_its_one_user():
    users = {name: set() for name in ONE_USER}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                if name.split(".")[0] in users:
                    users[name.split(".")[0]].add(str(path.relative_to(ROOT)))
    wrong = {name: found - ONE_USER[name] for name, found in users.items()}
    assert not {name: extra for name, extra in wrong.items() if extra}


def test_clocks_are_read_in_one_module():
    clock = re.compile(r"datetime\.now\(|datetime\.utcnow\(|time\.time\(")
    found = [
        str(path.relative_to(ROOT)) for path in sources() if clock.search(path.read_text("utf-8"))
    ]
    assert found == ["collector/clock.py"]


@pytest.mark.parametrize(
    "folder", ["collector", "processors", "alerting", "dashboards", "deploy", "config", "tests"]
)
def test_each_folder_says_what_enters_leaves_and_does_not_belong(folder):
    readme = ROOT / folder / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert 3 <= len(lines) <= README_LINES


def test_packages_are_listed_and_complete():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert set(listed) == found


def test_only_we_own_our_import_names():
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, [])) for name in PACKAGES} == {
        name: {"demandwatch"} for name in PACKAGES
    }


def test_constraints_pin_versions_and_carry_no_address():
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line) for line in lines)


def test_repository_holds_only_what_we_wrote():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    data = [name for name in tracked if name.endswith((".csv", ".parquet", ".zip", ".db"))]
    assert not data
