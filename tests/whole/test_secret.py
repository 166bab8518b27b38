"""TASK-004 as a user meets it, and a hunt for the secrets afterwards."""

import json
import os
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from pyrage import x25519

from tests import shapes
from tests.playground import APPS, RELEASE, SECRET, SOPS, Playground
from tests.storage import Storage, credentials
from tests.whole.conftest import PlaygroundMaker


@pytest.fixture(scope="session")
def with_release(sample: Playground, tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """A playground in which TASK-004 is next; to be copied."""
    play = sample.copy(tmp_path_factory.mktemp("with-release"))
    assert play.on_repository("task-003", "--with-prerequisites", "--yes").code == 0
    return play


@pytest.fixture
def ready(playground: PlaygroundMaker, with_release: Playground) -> Playground:
    """A playground in which TASK-004 is next."""
    return playground(source=with_release)


def recipient() -> str:
    return str(x25519.Identity.generate().to_public())


def test_unchanged_values_leave_the_file(ready: Playground) -> None:
    assert ready.on_repository("task-004").code == 0
    before = ready.read(SECRET)
    again = ready.on_repository("task-004")
    assert (again.code, again.out) == (0, "1/1 done, nothing to change\n")
    assert ready.read(SECRET) == before


def test_changed_credentials_are_encrypted_and_the_login_stays(ready: Playground) -> None:
    ready.on_repository("task-004")
    before = ready.decrypted()
    other = credentials("rival")
    changed = {
        "S3_ACCESS_KEY_ID": other.access_key.reveal(),
        "S3_SECRET_ACCESS_KEY": other.secret_key.reveal(),
    }
    done = ready.on_repository("task-004", **changed)
    assert done.code == 0, done.err
    assert "S3 credentials changed" in done.err
    assert ready.decrypted() == {**before, **changed}
    assert before["password"] not in ("", "admin")


def test_keys_that_somebody_added_are_kept(ready: Playground) -> None:
    ready.on_repository("task-004")
    subprocess.run(
        (SOPS, "set", SECRET, '["stringData"]["EXTRA"]', '"kept"'),
        cwd=ready.root,
        env={**os.environ, **ready.environment},
        check=True,
    )
    rules = ready.load(".sops.yaml")
    rules["creation_rules"][0]["age"] += f",{recipient()}"
    ready.write(".sops.yaml", yaml.safe_dump(rules))
    done = ready.on_repository("task-004")
    assert "recipients changed, for 2 age recipients" in done.err
    assert ready.decrypted()["EXTRA"] == "kept"


@pytest.mark.parametrize("form", ["string", "list", "key_groups"])
def test_every_form_of_sops_rules(playground: PlaygroundMaker, form: str) -> None:
    def shape(root: Path) -> None:
        path = root / ".sops.yaml"
        rules = yaml.safe_load(path.read_text())
        rule = rules["creation_rules"][0]
        both = [rule.pop("age"), recipient()]
        forms = {
            "string": {"age": ",".join(both)},
            "list": {"age": both},
            "key_groups": {"key_groups": [{"age": both}]},
        }
        rule.update(forms[form])
        path.write_text(yaml.safe_dump(rules))

    play = playground(shape)
    assert play.all().code == 0
    encrypted = play.load(SECRET)["sops"]
    groups = encrypted.get("key_groups") or [encrypted]
    assert len(groups[0]["age"]) == 2
    assert play.decrypted()["S3_SECRET_ACCESS_KEY"] == play.secret_key
    assert play.all().out == "11/11 done, nothing to change\n"


def test_without_a_private_key_names_and_recipients_are_compared(done: Playground) -> None:
    again = done.all(SOPS_AGE_KEY_FILE=None)
    assert (again.code, again.out) == (0, "10/11 done, nothing to change, TASK-004 not known\n")
    assert "no matching key here" in again.err
    status = done.on_repository("status", "--json", SOPS_AGE_KEY_FILE=None).data
    assert status["progress"] == "Progress 10/11"
    assert [task["id"] for task in status["tasks"] if task["state"] == "unknown"] == ["TASK-004"]
    rules = done.load(".sops.yaml")
    rules["creation_rules"][0]["age"] = recipient()
    done.write(".sops.yaml", yaml.safe_dump(rules))
    done.commit_all("another recipient")
    login = done.decrypted()
    refused = done.all(SOPS_AGE_KEY_FILE=None)
    assert refused.code == 4
    assert "recipients changed" in refused.err
    assert "SOPS_AGE_KEY_FILE" in refused.err
    assert done.decrypted() == login
    assert done.all("--force", SOPS_AGE_KEY_FILE=None).code == 0


def test_changed_recipients_keep_every_value(done: Playground) -> None:
    before = done.decrypted()
    rules = done.load(".sops.yaml")
    rules["creation_rules"][0]["age"] += f",{recipient()}"
    done.write(".sops.yaml", yaml.safe_dump(rules))
    done.commit_all("another recipient")
    assert done.all().code == 0
    assert done.decrypted() == before
    assert len(done.load(SECRET)["sops"]["age"]) == 2


@pytest.mark.parametrize("with_key", [True, False])
def test_a_recipient_that_was_taken_away_is_noticed(ready: Playground, with_key: bool) -> None:
    rules = ready.load(".sops.yaml")
    age = rules["creation_rules"][0]["age"]
    rules["creation_rules"][0]["age"] = f"{age},{recipient()}"
    ready.write(".sops.yaml", yaml.safe_dump(rules))
    assert ready.on_repository("task-004").code == 0
    rules["creation_rules"][0]["age"] = age
    ready.write(".sops.yaml", yaml.safe_dump(rules))
    environment = {} if with_key else {"SOPS_AGE_KEY_FILE": None}
    done = ready.on_repository("task-004", **environment)
    assert "recipients changed, for 1 age recipient" in done.err
    assert done.code == (0 if with_key else 4)
    assert [one["recipient"] for one in ready.load(SECRET)["sops"]["age"]][:1] == [age]
    assert len(ready.load(SECRET)["sops"]["age"]) == (1 if with_key else 2)


def test_a_login_that_everybody_knows_is_replaced(ready: Playground) -> None:
    ready.on_repository("task-004")
    before = ready.decrypted()
    # sops leaves an empty text as it is.
    for password, reason in (
        ("admin", "empty or the default: password"),
        (" \n", "empty or the default: password"),
        ("", "not encrypted: password"),
    ):
        subprocess.run(
            (SOPS, "set", SECRET, '["stringData"]["password"]', json.dumps(password)),
            cwd=ready.root,
            env={**os.environ, **ready.environment},
            check=True,
        )
        done = ready.on_repository("task-004")
        assert reason in done.err
        after = ready.decrypted()
        assert len(after["password"]) >= 32
        assert {**after, "password": ""} == {**before, "password": ""}


ODD = [
    ("stringData", ["x"], "stringData is a list, not a map"),
    ("data", 5, "data is a number, not a map"),
    ("sops", [], "sops is a list, not a map"),
    ("sops", {"age": 5, "mac": "ENC[x]"}, "sops.age is a number, not a list"),
    ("sops", {"key_groups": 5, "mac": "ENC[x]"}, "sops.key_groups is a number, not a list"),
    ("sops", {"age": [{"recipient": 5}], "mac": "ENC[x]"}, "sops.age.0.recipient is a number, not a text"),
    ("sops", {"age": []}, "sops.mac is missing"),
    ("metadata", ["x"], "metadata is a list, not a map"),
]


def test_an_odd_secret_is_a_plain_answer(ready: Playground) -> None:
    ready.on_repository("task-004")
    encrypted = ready.load(SECRET)
    for field, value, reason in ODD:
        ready.write(SECRET, yaml.safe_dump({**encrypted, field: value}))
        done = ready.on_repository("task-004")
        assert (done.code, done.out) == (4, "")
        assert f"{SECRET} is not a Secret encrypted by sops: {reason}" in done.err
        assert "hint: move it away" in done.err
    for field, value, _ in ODD[:4]:
        ready.write(SECRET, yaml.safe_dump({**encrypted, field: value}))
        status = ready.on_repository("status")
        assert status.code == 0, status.err
        assert "is not a Secret encrypted by sops" in status.out


def test_credentials_are_missing(ready: Playground) -> None:
    nothing = {"S3_ACCESS_KEY_ID": None, "S3_SECRET_ACCESS_KEY": None}
    done = ready.all(**nothing)
    assert done.code == 2
    assert "no S3 credentials" in done.err
    half = ready.all(S3_SECRET_ACCESS_KEY=None)
    assert half.code == 2
    assert "S3_ACCESS_KEY_ID is set, but S3_SECRET_ACCESS_KEY is not" in half.err


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n"])
def test_credentials_with_white_space(ready: Playground, around: str) -> None:
    done = ready.all(S3_SECRET_ACCESS_KEY=around.format(ready.secret_key))
    assert done.code == 2
    assert "the S3 secret key from" in done.err
    assert "spaces or line ends" in done.err
    assert ready.secret_key not in done.err + done.out


def without_rules(play: Playground) -> None:
    (play.root / ".sops.yaml").unlink()


def without_a_rule_for_the_path(play: Playground) -> None:
    shapes.edit(play.root / ".sops.yaml", "kubernetes/", "elsewhere/")


def without_recipients(play: Playground) -> None:
    rules = play.load(".sops.yaml")
    del rules["creation_rules"][0]["age"]
    play.write(".sops.yaml", yaml.safe_dump(rules))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (without_rules, "no .sops.yaml in the repository"),
        (without_a_rule_for_the_path, f"no creation rule in .sops.yaml matches {SECRET}"),
        (without_recipients, f"the rule for {SECRET} in .sops.yaml names no key"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rules_that_do_not_do(
    ready: Playground, break_it: Callable[[Playground], None], message: str
) -> None:
    break_it(ready)
    done = ready.on_repository("task-004")
    assert done.code == 4
    assert message in done.err
    assert "hint:" in done.err
    assert not (ready.root / SECRET).exists()


def test_sops_is_not_installed(ready: Playground, tmp_path: Path) -> None:
    import shutil
    import sys

    # A Python without sops beside it, and a PATH with git only.
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "git").symlink_to(shutil.which("git") or "")
    (bare / "python3").symlink_to(Path(sys.executable).resolve())
    packages = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    done = subprocess.run(
        (str(bare / "python3"), "-m", "invoke", "task-004", "--repo", str(ready.root)),
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **ready.environment, "PATH": str(bare), "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "sops is not installed" in done.stderr
    assert "https://github.com/getsops/sops/releases" in done.stderr


PLAIN = (
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: parseable-s3-secret  # not for pushing\n"
    "  namespace: monitoring\nstringData:\n  S3_SECRET_ACCESS_KEY: canary-in-plain-text\n"
)


@pytest.mark.parametrize("path", [SECRET, f"{APPS}/old/secret.yaml"])
@pytest.mark.parametrize("committed", [True, False])
def test_a_plaintext_secret_stops_everything(ready: Playground, path: str, committed: bool) -> None:
    ready.write(path, PLAIN)
    if committed:
        ready.commit_all("oops")
    before = ready.tree()
    done = ready.on_repository("task-004")
    assert done.code == 4
    assert path in done.err
    assert ("rotate the S3 key" in done.err) is committed
    assert "canary" not in done.err + done.out
    assert ready.tree() == before


def test_a_damaged_secret_is_not_replaced_silently(ready: Playground) -> None:
    ready.on_repository("task-004")
    damaged = ready.read(SECRET).replace(",data:", ",data:AAAA", 1)
    ready.write(SECRET, damaged)
    done = ready.on_repository("task-004")
    assert done.code == 4
    assert "sops cannot decrypt" in done.err
    assert ready.read(SECRET) == damaged


# The hunt ------------------------------------------------------------------------------------------------


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Sample the command lines of all processes while the block runs."""
    seen: set[bytes] = set()
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def inflated(repository: Path) -> Iterator[bytes]:
    """Every object of a git repository."""
    listed = subprocess.run(
        ("git", "cat-file", "--batch-all-objects", "--batch"), cwd=repository, check=True, capture_output=True
    )
    yield listed.stdout
    for path in (repository / ".git" if (repository / ".git").exists() else repository).rglob("objects/??/*"):
        yield zlib.decompress(path.read_bytes())


def test_no_secret_is_anywhere_afterwards(play: Playground, storage: Storage, tmp_path: Path) -> None:
    other = credentials("rival")
    rival = {
        "S3_ACCESS_KEY_ID": other.access_key.reveal(),
        "S3_SECRET_ACCESS_KEY": other.secret_key.reveal(),
    }
    canaries = {play.secret_key, play.access_key, *rival.values()}
    with watched_processes() as command_lines:
        outputs = [
            play.on_repository("plan"),
            play.on_repository("plan", "--json"),
            play.all("--json"),
            play.all(),
            play.on_repository("status", "--json"),
            play.verify("--json"),
            play.on_repository("plan", **rival),
            play.all(**rival),
            play.all(S3_SECRET_ACCESS_KEY="canary-changed"),
            play.invoke("-d", "plan", "--repo", str(play.root)),
        ]
    login = play.decrypted()
    canaries |= {login["username"], login["password"], "canary-changed"}
    assert [output.code for output in outputs] == [5, 5, 0, 0, 0, 0, 5, 0, 4, 5]
    assert any(b"sops" in line for line in command_lines)

    said = "".join(output.out + output.err for output in outputs)
    everything = {
        "the output": said.encode(),
        "a command line": b"\n".join(command_lines),
        **{str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()},
        **{f"git object {number}": data for number, data in enumerate(inflated(play.root))},
        **{f"remote object {number}": data for number, data in enumerate(inflated(tmp_path / "remote.git"))},
    }
    for canary in canaries:
        found = [place for place, data in everything.items() if canary.encode() in data]
        assert not found, f"a secret lies in {found}"


# Secrets of others in the lines around ours, in every style. Each holds the canary; none may be shown.
CANARY = "canary-of-others"
BESIDE_PLUGINS = f"""\
    # once "token: {CANARY}"
    adminPassword: "{CANARY}"
    plugins:
      # - https://me:{CANARY}@host.test/plugin.zip
"""
BESIDE_SOURCES = f"""\
              implementation: prometheus
              httpHeaderName1: Authorization
            secureJsonData: {{ httpHeaderValue1: Bearer {CANARY} }}
            basicAuthPassword: >-
              {CANARY}
"""
BESIDE_VARIABLES = f"""\
    testFramework:
      enabled: false
    env:
      GF_AUTH_PASSPHRASE: |
        {CANARY}
    extraEnv: [{{name: SMTP_TOKEN, value: {CANARY}}}]
    tls.key: |
      -----BEGIN PRIVATE KEY-----
      {CANARY}
      -----END PRIVATE KEY-----
"""
BESIDE_APPS = f"""
secretGenerator:
  - name: shown-neighbour
    literals: [password={CANARY}]
"""


def with_secrets_around(root: Path) -> None:
    """Other people's secrets stand in the lines above and below those that the playbook adds."""
    release = root / APPS / "grafana/app/helmrelease.yaml"
    shapes.edit(release, "    plugins:\n", BESIDE_PLUGINS)
    shapes.edit(release, "              implementation: prometheus\n", BESIDE_SOURCES)
    shapes.edit(release, "    testFramework:\n      enabled: false\n", BESIDE_VARIABLES)
    with (root / APPS / "kustomization.yaml").open("a") as stream:
        stream.write(BESIDE_APPS)


HOOK = f"""#!/bin/sh
cat <<'END'
a linter of yours refuses this:
+    password: |
+      {CANARY}
  remote: https://me:{CANARY}@host.test
  header: "Authorization: Bearer {CANARY}"
END
exit 1
"""


def test_no_secret_of_others_is_shown(playground: PlaygroundMaker) -> None:
    play = playground(with_secrets_around)
    hook = play.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    outputs = [play.on_repository("plan"), play.on_repository("plan", "--json"), play.all()]
    assert [output.code for output in outputs] == [5, 5, 4]
    assert "a linter of yours refuses this" in outputs[-1].err
    hook.unlink()
    outputs += [
        play.all("--json"),
        play.verify(),
        play.verify("--json"),
        play.verify("--format", "github"),
        play.on_repository("status"),
    ]
    assert [output.code for output in outputs[3:]] == [0, 0, 0, 0, 0]
    for output in outputs:
        assert CANARY not in output.out + output.err
    # What stands beside them is shown, and what was written is what was there.
    for line in ("secureJsonData: { httpHeaderValue1: (not shown) }", "- name: shown-neighbour"):
        assert line in outputs[0].out
    committed = play.git("show", f"HEAD:{APPS}/grafana/app/helmrelease.yaml")
    assert committed.count(CANARY) == 8


def test_a_new_password_is_one_commit_that_replaces_the_pods_of_both_sides(done: Playground) -> None:
    before, head = done.decrypted()["password"], done.head()
    ended = done.all("--new-login")
    assert ended.code == 0, ended.err
    after = done.decrypted()["password"]
    assert after != before
    assert (done.git("rev-parse", "HEAD~1"), done.remote_head()) == (head, done.head())
    changed = done.git("show", "--format=", "--name-only").splitlines()
    assert changed == [RELEASE, SECRET, f"{APPS}/vector/app/helmrelease.yaml"]
    lines = done.git("show", "--format=", RELEASE, f"{APPS}/vector/app/helmrelease.yaml").splitlines()
    added = [line.strip("+ }") for line in lines if line.startswith("+") and "parseable-login" in line]
    # The same revision on both sides.
    assert len({line.rpartition(" ")[2] for line in added}) == 1
    assert len(added) == 2
    # Neither password is anywhere but in the Secret.
    told = ended.out + ended.err + done.git("log", "-p", "--all")
    for password in (before, after):
        assert password not in told
        assert not any(password.encode() in text for text in done.tree().values())
    assert done.all().out == "11/11 done, nothing to change\n"
