"""A real InfluxDB 1.x behind nginx, which gives it the v2 write address newer servers have."""

import json
import os
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from services import end, free_port, listens, requires
from waiting import until

_INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[logging]
  level = "warn"
"""

_NGINX = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_max_body_size {limit};
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $arg_precision $precision {{ us u; ns n; default $arg_precision; }}
  server {{
    listen 127.0.0.1:{port};
    location = /api/v2/write {{
      set $args "db=$arg_bucket&precision=$precision";
      rewrite ^ /write break;
      proxy_pass http://127.0.0.1:{influx};
    }}
    location / {{ proxy_pass http://127.0.0.1:{influx}; }}
  }}
}}
"""


@dataclass
class Influx:
    """InfluxDB 1.x and its front; the server can be stopped and started again on its store."""

    folder: Path
    influxd: str
    nginx: str
    port: int = field(default_factory=free_port)
    front_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address a v2 client writes to."""
        return f"http://127.0.0.1:{self.front_port}"

    def start(self) -> None:
        """Start the server, and its front at the first time."""
        config = self.folder / "influx.conf"
        if not config.exists():
            values = {"folder": self.folder, "port": self.port, "rpc": free_port()}
            config.write_text(_INFLUX.format(**values))
            self._front()
        self._run("influxd", [self.influxd, "-config", str(config)], self.port)

    def stop(self) -> None:
        """Stop the server; its store and its front stay."""
        end(self.processes.pop("influxd"))

    def limit_bodies(self, size: str) -> None:
        """Let the front refuse larger requests with 413."""
        end(self.processes.pop("nginx"))
        self._front(size)

    def end(self) -> None:
        """Stop all."""
        for process in self.processes.values():
            end(process)

    def query(self, text: str, db: str = "demandwatch") -> list[dict[str, object]]:
        """Return the series of an InfluxQL query, times in microseconds; none: an empty list."""
        form = urllib.parse.urlencode({"q": text, "db": db, "epoch": "u"}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/query", form, 20) as answer:
            result = json.load(answer)["results"][0]
        assert "error" not in result, result
        return list(result.get("series", []))

    def _front(self, limit: str = "32m") -> None:
        config = self.folder / "nginx.conf"
        config.write_text(
            _NGINX.format(
                # root's workers would drop to a user the folder is closed to
                user="user root;" if os.getuid() == 0 else "",
                folder=self.folder,
                limit=limit,
                port=self.front_port,
                influx=self.port,
            )
        )
        command = [self.nginx, "-p", str(self.folder), "-c", str(config)]
        command += ["-e", str(self.folder / "nginx.log"), "-g", "daemon off;"]
        self._run("nginx", command, self.front_port)

    def _run(self, name: str, command: list[str], port: int) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: listens(port), 20, f"{name} to listen")


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    """A running InfluxDB with an empty database `demandwatch`."""
    folder = tmp_path / "influx"
    folder.mkdir()
    server = Influx(folder, requires("influxd"), requires("nginx"))
    try:
        server.start()
        server.query("CREATE DATABASE demandwatch")
        yield server
    finally:
        server.end()
