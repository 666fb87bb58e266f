"""docs/import.md: its file, its mapping and its commands are run, and say what the page says."""

import re
import shlex

import pytest
from program import ROOT, Program
from typer.testing import CliRunner

from demandwatch.cli import app

PAGE = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+) ?(\S*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    meters = [{"id": name, "source": {"via": "file"}} for name in ("werk-1", "werk-2")]
    site = {
        "id": "works", "name": {"zh": "厂", "en": "works"}, "kind": "factory", "district": "d",
        "timezone": "Europe/Berlin", "meters": meters,
    }  # fmt: skip
    program = Program.make(tmp_path / "bureau", [site])
    for _, name, text in BLOCKS:
        if name:
            (program.folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(program.folder)
    return program.folder


def run(line):
    words = shlex.split(line)
    assert words[0] == "demandwatch"
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


def test_every_block_of_the_page(folder):
    commands = [line for kind, _, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    assert len(commands) == 5
    dry, load, ask, listing, undo = commands
    shown, told = (text.splitlines() for kind, _, text in BLOCKS if kind == "text")
    refused = [line.rsplit(",", 1)[0] for line in run(dry).splitlines()]
    assert [line[: len(want)] for line, want in zip(refused, shown, strict=True)] == shown
    said = run(load)
    assert told[0] in said
    found = re.search(r"--undo (\w+)", said)
    assert run(ask).count("\n") == 1 + 4 + 4 + 4
    assert found[1] in run(listing)
    assert "is withdrawn" in run(undo.replace("ID", found[1]))
