"""Who is measured: the two agents, and Tandem between this program and a stand-in
XMPP server. Every subject listens on the same address in its own namespace."""

import os
import pathlib
import re
import subprocess
import tempfile
import time

import xmpp_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ("127.0.0.1", 5070)
SINK = ("127.0.0.1", 5099)
TICK = os.sysconf("SC_CLK_TCK")


class Subject:
    """One process under test. `user` is the user part its contacts have in SIP."""

    name, user, target, sink = "", "bob", TARGET, SINK

    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="scorecard-"))
        self._log = self.work / "stderr.log"
        self._started = []
        self.process = None

    def _spawn(self, *words, env=None):
        with open(self._log, "ab") as log:
            process = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self._started.append(process)
        return process

    def stop(self):
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._started.clear()

    def alive(self):
        return self.process.poll() is None

    def panics(self):
        return len(re.findall(r"panicked at", self._log.read_text(errors="replace")))

    def cpu_seconds(self):
        """User and system time of the SIP process so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_mb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", text)
        return int(found.group(1)) / 1024 if found else 0.0


class Agent(Subject):
    """One of the programs of integration-tests/agents."""

    def __init__(self, name, threads=None):
        super().__init__()
        self.name = name
        self._binary = ROOT / "target/agents/release" / name
        self._threads = ["--threads", threads] if threads is not None else []

    def missing(self):
        return None if self._binary.exists() else f"{self._binary} is not built"

    def start(self):
        self.process = self._spawn(self._binary, "serve", "--listen", "%s:%d" % self.target,
                                   "--allow", "127.0.0.1", *self._threads)
        time.sleep(0.5)

    def send_message(self):
        self._spawn(self._binary, "send", "--listen", "127.0.0.1:5071", "--target", "%s:%d" % self.sink)


class Tandem(Subject):
    """Both Tandem processes; the XMPP server is the stand-in of xmpp_server.py."""

    name, user = "tandem", "+12025550199"  # the number of tandem/b2bua.toml
    domain, component = "localhost", "sip.localhost"

    def __init__(self):
        super().__init__()
        build = os.environ.get("TANDEM_TARGET", ROOT / "target/release")
        self._b2bua = pathlib.Path(build) / "tandem-b2bua"
        self._component = pathlib.Path(build) / "tandem-component"
        self._configs = pathlib.Path(__file__).parent / "tandem"
        self._server = None

    def missing(self):
        for path in (self._b2bua, self._component, self._configs / "b2bua.toml"):
            if not path.exists():
                return f"{path} does not exist yet"
        return None

    def _config(self, name):
        """A committed configuration with this run's directory filled in."""
        text = (self._configs / name).read_text().replace("@WORK@", str(self.work))
        path = self.work / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def start(self):
        self._server = xmpp_server.start(("127.0.0.1", 5347), self.component, "secret")
        self.process = self._spawn(self._b2bua, "--config", self._config("b2bua.toml"))
        self._spawn(self._component, "--config", self._config("component.toml"))
        if not self._server.joined.wait(15):
            raise RuntimeError(f"the component did not join: {self._log.read_text()}")
        time.sleep(1)

    def send_message(self):
        # the route of tandem/b2bua.toml takes every number to the sink
        self._server.inject(
            f"<message type='chat' id='s1' from='alice@{self.domain}/one' "
            f"to='+12025550123@{self.component}'><body>Hello</body></message>")


ALL = {
    "tandem": Tandem,
    "ezk-agent": lambda: Agent("ezk-agent"),
    "rsipstack-agent": lambda: Agent("rsipstack-agent"),
}

# No SIP implementation: it only belongs into measurements of cost.
FLOOR = "floor-agent"
