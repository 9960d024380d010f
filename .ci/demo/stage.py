"""What the demo runs on: a directory, free ports, processes; all of it gone at the end.

Everything listens on 127.0.0.1. Processes are in sessions of their own, so that Ctrl-C reaches the
demo first, and the kernel ends them should the demo itself be killed.
"""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAIN = "localhost"
GATEWAY = "sip.localhost"
NUMBER = "+15551234567"
START_LIMIT = 20
STOP_LIMIT = 10


class Failure(Exception):
    """Why the demo cannot go on, in one line."""


class Stage:
    def __init__(self, users):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tandem-demo."))
        self.passwords = {user: secrets.token_hex(4) for user in users}
        self.processes = {}
        # 5222 if it is free: there clients find the server without being told a port.
        ports = free_ports(6, preferred=5222)
        self.client_port, self.component_port, self.gateway_port, self.sip_port, self.control_port, media = ports
        self.words = {
            "DIR": str(self.directory),
            "AS_ROOT": str(os.geteuid() == 0).lower(),
            "GATEWAY": GATEWAY,
            "NUMBER": NUMBER,
            "SECRET": secrets.token_hex(16),
            "CLIENT_PORT": str(self.client_port),
            "COMPONENT_PORT": str(self.component_port),
            "GATEWAY_PORT": str(self.gateway_port),
            "SIP_PORT": str(self.sip_port),
            "CONTROL_PORT": str(self.control_port),
            "MEDIA_PORT": str(media),
        }

    @property
    def certificate(self):
        return self.directory / f"{DOMAIN}.crt"

    def start_server(self):
        """A private Prosody: TLS with a certificate of its own, two accounts, no other servers."""
        self.make_certificate()
        attach = (ROOT / "configs/attach/prosody.cfg.lua").read_text()
        # The snippet as administrators paste it, with its two values replaced.
        attach = attach.replace("sip.example.com", GATEWAY).replace("change-me", self.words["SECRET"])
        config = self.write("prosody.cfg.lua", self.fill("prosody.cfg.lua") + attach)
        for user, password in self.passwords.items():
            self.write(f"prosody/{DOMAIN}/accounts/{user}.dat", f'return {{ ["password"] = "{password}" }}')
        self.start("prosody", find("prosody"), "--config", config, "-F")
        for port in (self.client_port, self.component_port):
            self.wait_port("prosody", port)

    def start_tandem(self, binaries):
        """Both processes of Tandem, as an administrator runs them."""
        for name in ("tandem-b2bua", "tandem-component"):
            file = name.removeprefix("tandem-") + ".toml"
            config = self.write(file, self.fill(file))
            self.start(name, pathlib.Path(binaries).resolve() / name, "--config", config)
        self.wait_port("tandem-b2bua", self.gateway_port)

    def make_certificate(self):
        command = [
            find("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
            "-keyout", self.directory / f"{DOMAIN}.key", "-out", self.certificate,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"openssl made no certificate: {done.stderr.strip()}")

    def fingerprint(self):
        command = [find("openssl"), "x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("=")[-1].strip()

    def fill(self, name, **more):
        """The text of configs/demo/`name` with its words filled in."""
        text = (ROOT / "configs/demo" / name).read_text()
        for word, value in (self.words | more).items():
            text = text.replace(f"@{word}@", value)
        return text

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self, name):
        return self.directory / f"{name}.log"

    def start(self, name, *command):
        # Settings of whoever runs the demo are not those of the demo.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TANDEM_")}
        with open(self.log(name), "wb") as log:
            self.processes[name] = subprocess.Popen(
                [find("setpriv"), "--pdeathsig", "KILL", "--", *map(str, command)],
                cwd=self.directory, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def wait_port(self, name, port):
        """Waits until the process `name` takes connections at `port`."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            self.check_alive()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise Failure(f"{name} does not listen on port {port}") from None
                time.sleep(0.05)

    def check_alive(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Failure(f"{name} ended by itself with code {process.returncode}")

    def log_ends(self, lines=15):
        """The end of every log, for whoever has to find out why."""
        for name in self.processes:
            text = self.log(name).read_text(errors="replace").splitlines()[-lines:]
            yield f"--- {name}.log", *text

    def strike(self):
        """Ends every process and removes the directory; returns what did not end well."""
        wrong = []
        for name, process in reversed(self.processes.items()):
            if process.poll() is not None:
                wrong.append(f"{name} ended by itself with code {process.returncode}")
                continue
            # Ours promise to end with 0; the others have customs of their own.
            orderly = name.startswith("tandem-")
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(STOP_LIMIT)
                if orderly and code != 0:
                    wrong.append(f"{name} ended with code {code}")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                wrong.append(f"{name} had to be killed")
        self.processes.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            wrong.append(f"{self.directory} could not be removed")
        return wrong


def free_ports(count, preferred):
    """Ports that are free for TCP and UDP; the phone also takes the one after its own."""
    found, held = [], []
    while len(found) < count:
        wanted = preferred if not held else 0
        try:
            tcp, udp, after = (socket.socket(socket.AF_INET, kind) for kind in
                               (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM))
            held += [tcp, udp, after]
            tcp.bind(("127.0.0.1", wanted))
            port = tcp.getsockname()[1]
            udp.bind(("127.0.0.1", port))
            if wanted == 0:
                after.bind(("127.0.0.1", port + 1))
            found.append(port)
        except (OSError, OverflowError):
            continue
    for each in held:
        each.close()
    return found


def find(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Failure(f"{program} is missing; `.ci/deps demo` installs it")
    return path
