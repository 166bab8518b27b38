"""A program `kubectl` whose port-forward leads to servers of the tests; all else is left to the real one.

Its lines and endings are those of kubectl 1.34 (staging/src/k8s.io/client-go/tools/portforward and
staging/src/k8s.io/kubectl/pkg/cmd/portforward of https://github.com/kubernetes/kubernetes).
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.effects import shell

_PROGRAM = """\
#!{python} -S
import json, os, socket, sys, threading, time

if "port-forward" not in sys.argv:
    os.execv({real!r}, ["kubectl", *sys.argv[1:]])
folder = {folder!r}
words = sys.argv[sys.argv.index("port-forward") + 1 :]
target = words[-2]
port = words[-1].removeprefix(":")
namespace = words[words.index("--namespace") + 1]
with open(os.path.join(folder, "forwards.json")) as file:
    plan = json.load(file).get(f"{{namespace}}/{{target}}:{{port}}")
with open(os.path.join(folder, "calls"), "a") as file:
    file.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
if plan is None:
    kind, _, name = target.partition("/")
    sys.exit(f'Error from server (NotFound): {{kind}}s "{{name}}" not found')
if "says" in plan:
    sys.exit(plan["says"])
if plan.get("never"):
    time.sleep(600)
listener = socket.create_server(("127.0.0.1", 0))
print(f"Forwarding from 127.0.0.1:{{listener.getsockname()[1]}} -> {{port}}", flush=True)


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


count = 0
while True:
    near, _ = listener.accept()
    print(f"Handling connection for {{listener.getsockname()[1]}}", flush=True)
    count += 1
    if count == plan.get("lost_at"):
        near.close()
        sys.exit("error: lost connection to pod")
    far = socket.create_connection(("127.0.0.1", plan["to"]))
    for ends in ((near, far), (far, near)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
"""


@dataclass(frozen=True)
class KubectlDouble:
    """The program's folder, which is on PATH."""

    folder: Path

    def forward(self, key: str, url: str = "", **more: object) -> None:
        """Have ``key`` (NAMESPACE/KIND/NAME:PORT) lead to ``url``, or end otherwise.

        ``says`` ends it with that on standard error, ``never`` never gets ready, ``lost_at`` ends it with the
        connection of that number.
        """
        plans = json.loads((self.folder / "forwards.json").read_text())
        plans[key] = {**({"to": int(url.rpartition(":")[2])} if url else {}), **more}
        (self.folder / "forwards.json").write_text(json.dumps(plans))

    @property
    def calls(self) -> list[list[str]]:
        """Its process ids and arguments, for each port-forward."""
        place = self.folder / "calls"
        return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []

    def is_running(self) -> bool:
        """Whether one of them still runs."""
        return any(Path(f"/proc/{call[0]}").exists() for call in self.calls)


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubectlDouble:
    """The program, on PATH before the real one."""
    return put(tmp_path, monkeypatch)


def put(where: Path, monkeypatch: pytest.MonkeyPatch) -> KubectlDouble:
    """Put the program into a folder below ``where``, on PATH before the real one."""
    folder = where / "kubectl-double"
    folder.mkdir()
    real = shell.find("kubectl") or "/nonexistent/kubectl"
    program = folder / "kubectl"
    program.write_text(_PROGRAM.format(python=sys.executable, real=real, folder=str(folder)))
    program.chmod(0o755)
    (folder / "forwards.json").write_text("{}")
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder), os.environ["PATH"])))
    return KubectlDouble(folder)
