"""Runs the real program in processes of its own, on a configuration made for the test."""

import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml
from services import end, free_port
from waiting import until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "demandwatch"]


@dataclass
class Program:
    """A configuration folder and the commands run on it."""

    folder: Path
    settings: dict
    sites: list[dict]

    @property
    def config(self):
        return self.folder / "demandwatch.yaml"

    @classmethod
    def make(cls, folder, sites, rules="rules: []\n", **settings):
        """Write a configuration of `sites` under `folder`."""
        base = {
            "name": {"zh": "测试", "en": "test"},
            "data": "var",
            "meter_profiles": str(ROOT / "config/meter-profiles"),
            "processors": {"policy_folder": str(ROOT / "config/policy")},
            "dashboards": {"console": {"port": free_port(), "try_next_ports": 20}},
        }
        program = cls(folder, base | settings, sites)
        (folder / "sites").mkdir(parents=True)
        (folder / "rules").mkdir()
        (folder / "rules" / "rules.yaml").write_text(rules, encoding="utf-8")
        program.write()
        return program

    def write(self):
        """Write the files again, after a change."""
        self.config.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        text = yaml.safe_dump({"sites": self.sites}, allow_unicode=True)
        (self.folder / "sites" / "sites.yaml").write_text(text, encoding="utf-8")

    def call(self, *words, ok=True, timeout=100):
        """Run one command to its end; return what it wrote to standard output."""
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            check=False,
            capture_output=True,
            timeout=timeout,
            cwd=self.folder,
        )
        if ok:
            assert done.returncode == 0, (words, done.stdout.decode(), done.stderr.decode())
        return done.stdout if ok else done

    def start(self, *words):
        """Start `demandwatch run`; wait until it is ready."""
        log = (self.folder / "run.log").open("ab")
        with log:
            process = subprocess.Popen(
                [*COMMAND, "run", "--config", str(self.config), *map(str, words)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        until(lambda: process.poll() is not None or self.answers(), 30, "the program to be ready")
        assert process.poll() is None, (self.folder / "run.log").read_text()
        return process

    def answers(self):
        """Whether every stage is up; before, a broker would drop what is published."""
        return self.get("/readyz") is not None

    def get(self, path):
        """Return the body of a page of the console, None if it does not answer."""
        port = self.settings["dashboards"]["console"]["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.read()
        except OSError:
            return None

    def metric(self, name):
        """Return the sum of a metric's samples."""
        body = (self.get("/metrics") or b"").decode()
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in body.splitlines()
            if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(values)

    @staticmethod
    def stop(process):
        """End with SIGTERM; it must end cleanly within five seconds."""
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(5) == 0
        finally:
            end(process)


def environment(**extra):
    """The environment with additions."""
    return os.environ | extra
