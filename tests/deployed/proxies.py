"""nginx and Caddy as the manual configures them, on ports of the tests' own."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.certificates import Authority
from tests.servers import ROOT, free_port

DOCUMENTS = ROOT / "docs"
START_SECONDS = 30
STOP_SECONDS = 20
# Where servers are, though not on everybody's PATH.
PATH = f"{os.environ['PATH']}:/usr/sbin"


@dataclass
class Proxy:
    """A proxy process before workers, with a certificate for `localhost` and an authority of charge points."""

    program: str
    folder: Path
    workers: list[int]
    http_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)
    authority: Authority = field(default_factory=lambda: Authority.make("Web"))
    charge_points: Authority = field(default_factory=lambda: Authority.make("Charge points"))
    days: float = 30
    damage: tuple[str, str] = ("$^", "")  # a pattern of nginx.conf, and what is written in its place

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    def start(self) -> None:
        self.authority.write(self.folder, "csms", "localhost", host="127.0.0.1", days=self.days)
        (self.folder / "charge-points-ca.pem").write_bytes(self.charge_points.certificate)
        (self.folder / "authority.pem").write_bytes(self.authority.certificate)
        command = PROGRAMS[self.program](self)
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=self.environment())
        self._wait()

    def environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "HOME": str(self.folder),
            "DYNAMO_DOMAIN": "localhost",
            "DYNAMO_WORKERS": " ".join(f"127.0.0.1:{port}" for port in self.workers),
            "CADDY_TLS": f"{self.folder}/csms.pem {self.folder}/csms.key",
            "CADDY_HTTP_PORT": str(self.http_port),
            "CADDY_HTTPS_PORT": str(self.https_port),
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/livez", verify=False).status_code:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        self.process.kill()
        raise RuntimeError(f"{self.program} did not start:\n{(self.folder / 'log.txt').read_text()}")

    def trusting(self) -> ssl.SSLContext:
        """What trusts the proxy's certificate."""
        return ssl.create_default_context(cadata=self.authority.certificate.decode())

    def showing(self, identity: str, authority: Authority | None = None) -> ssl.SSLContext:
        """What shows a charge point's certificate besides."""
        context = self.trusting()
        context.load_cert_chain(*(authority or self.charge_points).write(self.folder, "client", identity))
        return context

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(STOP_SECONDS)


def nginx(proxy: Proxy) -> list[str]:
    """The manual's configuration with our ports and paths; returns the command that runs it."""
    text = re.sub(*proxy.damage, (DOCUMENTS / "nginx.conf").read_text())
    servers = "\n".join(f"server 127.0.0.1:{port};" for port in proxy.workers)
    text = re.sub(r"server 127\.0\.0\.1:8001;\s+server 127\.0\.0\.1:8002;", servers, text)
    text = text.replace("listen 80 ", f"listen 127.0.0.1:{proxy.http_port} ")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{proxy.https_port} ")
    text = text.replace("csms.example.com;", "localhost;").replace("/etc/dynamo", str(proxy.folder))
    text = text.replace("/var/log/nginx", str(proxy.folder)).replace("/run/nginx.pid", f"{proxy.folder}/nginx.pid")
    (proxy.folder / "nginx.conf").write_text(text)
    return [
        str(shutil.which("nginx", path=PATH)),
        "-p",
        str(proxy.folder),
        "-c",
        f"{proxy.folder}/nginx.conf",
        "-g",
        "daemon off;",
    ]


def caddy(proxy: Proxy) -> list[str]:
    text = (DOCUMENTS / "Caddyfile").read_text()
    text = text.replace("#3 ", "").replace("/etc/dynamo", str(proxy.folder))
    (proxy.folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", f"{proxy.folder}/Caddyfile", "--adapter", "caddyfile"]


PROGRAMS: dict[str, Callable[[Proxy], list[str]]] = {"nginx": nginx, "caddy": caddy}


def is_missing(program: str) -> bool:
    return shutil.which(program, path=PATH) is None
