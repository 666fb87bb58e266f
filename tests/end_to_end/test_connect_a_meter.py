"""Runs docs/connect-a-meter.md as it stands, a simulated meter in place of the box."""

import contextlib
import os
import re
import signal
import subprocess
import sys

import pytest
from program import ROOT
from services import free_port

PAGE = (ROOT / "docs" / "connect-a-meter.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(sh|yaml)( \S+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b(1502|8080)\b")
_COMMAND = f'demandwatch() {{ "{sys.executable}" -m demandwatch "$@"; }}\n'


@pytest.mark.timeout(240)
def test_the_page_leads_from_the_box_to_a_load_curve(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    ports = {"1502": str(free_port()), "8080": str(free_port())}
    script = _COMMAND
    for kind, name, block in _BLOCK.findall(PAGE):
        text = _PORT.sub(lambda found: ports[found[0]], block)
        if kind == "yaml":
            file = tmp_path / name.strip()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        else:
            # a simple command in the background is the program itself: it gets the page's `kill`
            program = rf'"{sys.executable}" -m demandwatch \1 &'
            script += re.sub(r"^demandwatch (.*) &$", program, text, flags=re.MULTILINE)
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "match, but the evidence cannot tell these apart: eastron-sdm630",
        "voltage_a_v",
        "as a whole: not proven",
        "verified: nothing differs",
        "no fault: 1 sites, 1 meters",
        "the shortest poll_every_s",
        "works-main at 127.0.0.1",
        "measured",
    ):
        assert said in done.stdout, (said, done.stdout + done.stderr)


def run(script, folder):
    """Run a script; nothing of it is left behind, whatever becomes of it."""
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = shell.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        out, err = shell.communicate()
    finally:
        if shell.returncode:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(script, shell.returncode, out, err)
