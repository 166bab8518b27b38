import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from tasks.core.errors import RefusedError
from tasks.effects import helm as helm_module
from tasks.effects import shell
from tasks.effects.helm import Chart, ChartError, Helm, shorten
from tests.charts import write_charts
from tests.tools import helm_folder  # noqa: F401

URL = "https://charts.example.test"
PARSEABLE = Chart(URL, "parseable", "1.6.5")


@pytest.fixture(autouse=True)
def _helm_on_path(helm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("PATH", os.pathsep.join((str(helm_folder), os.environ["PATH"])))


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    folder = tmp_path / "charts"
    folder.mkdir()
    write_charts(folder)
    return folder


@pytest.fixture
def helm(tmp_path: Path, charts: Path) -> Helm:
    return Helm(tmp_path / "cache", {URL + "/": str(charts)})


def parts(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = [d for d in yaml.safe_load_all(text) if d]
    return {(d["kind"], d["metadata"]["name"]): d for d in found}


def render(helm: Helm, name: str, version: str, values: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    return parts(helm.render(helm.fetch(Chart(URL, name, version)), name, "logs", values))


def container(workload: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answering(code: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(code)

        do_HEAD = do_GET  # noqa: N815  # the base's name

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class Registry(BaseHTTPRequestHandler):
    """An OCI registry that has the tag 1.6.5 of team/parseable, for the archive in ``folder``."""

    folder: Path

    def do_GET(self) -> None:
        about = json.dumps({"name": "parseable", "version": "1.6.5", "apiVersion": "v2"})
        blobs = [about.encode(), (self.folder / "parseable-1.6.5.tgz").read_bytes()]
        digests = [f"sha256:{hashlib.sha256(blob).hexdigest()}" for blob in blobs]
        kinds = (
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        )
        layers = [
            {"mediaType": kind, "digest": digest, "size": len(blob)}
            for kind, digest, blob in zip(kinds, digests, blobs, strict=True)
        ]
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": kind, "config": layers[0], "layers": layers[1:]}
        ).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        root = "/v2/team/parseable"
        known = {
            f"{root}/tags/list": (b'{"name": "team/parseable", "tags": ["1.6.5"]}', "application/json"),
            f"{root}/manifests/1.6.5": (manifest, kind),
            f"{root}/manifests/{digest}": (manifest, kind),
            **{
                f"{root}/blobs/{d}": (b, "application/octet-stream")
                for d, b in zip(digests, blobs, strict=True)
            },
        }
        body, kind = known.get(self.path.partition("?")[0], (b"", ""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if "/manifests/" in self.path:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the base's name

    def log_message(self, *args: object) -> None:
        pass


def test_parseable_renders(helm: Helm) -> None:
    secret = {"name": "s3", "prefix": "P_", "keys": ["s3.access.key", "s3-url"]}
    values = {
        "parseable": {
            "store": "s3-store",
            "env": {"P_MODE": "1e3"},
            "s3ModeSecret": {"enabled": True, "secrets": [secret]},
        }
    }
    found = render(helm, "parseable", "1.6.5", values)
    only = container(found["Deployment", "parseable"])
    assert only["args"][1] == "s3-store"
    assert [entry["name"] for entry in only["env"]] == [
        "HOSTNAME", "P_MODE", "RUST_LOG", "P_S3_ACCESS_KEY", "P_S3_URL",
    ]  # fmt: skip
    assert only["env"][1]["value"] == "1e3"
    assert found["Service", "parseable"]["spec"]["ports"] == [
        {"port": 80, "targetPort": 8000, "protocol": "TCP"}
    ]
    assert ("ServiceAccount", "parseable") in found


def test_vector_renders(helm: Helm) -> None:
    listener = {"sources": {"http_in": {"type": "http_server", "address": "0.0.0.0:8080"}}}
    own = render(
        helm, "vector", "0.35.0", {"role": "Agent", "customConfig": {"data_dir": "/data", **listener}}
    )
    assert own["Service", "vector"]["spec"]["ports"][0] == {
        "name": "http-in", "port": 8080, "targetPort": 8080, "protocol": "TCP",
    }  # fmt: skip
    assert yaml.safe_load(own["ConfigMap", "vector"]["data"]["vector.yaml"])["data_dir"] == "/data"
    assert ("ClusterRoleBinding", "vector") in own
    given = render(
        helm, "vector", "0.35.0", {"role": "Agent", "existingConfigMaps": ["mine"], "dataDir": "/data"}
    )
    assert ("ConfigMap", "vector") not in given
    assert not given["Service", "vector-headless"]["spec"]["ports"]
    only = container(given["DaemonSet", "vector"])
    assert only["image"] == "timberio/vector:0.40.0-distroless-libc"
    assert {"name": "data", "mountPath": "/data"} in only["volumeMounts"]


def test_grafana_renders(helm: Helm) -> None:
    values = {
        "plugins": ["one", "two"],
        "admin": {"existingSecret": "mine"},
        "envValueFrom": {"TOKEN": {"secretKeyRef": {"name": "s", "key": "k"}}},
        "datasources": {"datasources.yaml": {"apiVersion": 1, "datasources": [{"name": "Logs"}]}},
        "grafana.ini": {"server": {"root_url": "https://grafana.example.test"}},
    }
    found = render(helm, "grafana", "8.8.2", values)
    assert {kind for kind, _ in found} == {"Deployment", "Service", "ConfigMap"}
    env = {entry["name"]: entry for entry in container(found["Deployment", "grafana"])["env"]}
    assert env["GF_INSTALL_PLUGINS"]["value"] == "one,two"
    assert env["TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "s", "key": "k"}}
    data = found["ConfigMap", "grafana"]["data"]
    assert yaml.safe_load(data["datasources.yaml"])["datasources"] == [{"name": "Logs"}]
    assert "root_url = https://grafana.example.test" in data["grafana.ini"]


@pytest.mark.parametrize(
    ("name", "version", "values", "reason"),
    [
        ("parseable", "1.6.5", {"parseable": {"store": {"a": 1}}}, "incompatible types for comparison"),
        ("parseable", "1.6.5", {"parseable": {"env": {"PORT": 8000}}}, "expected string"),
        (
            "vector",
            "0.35.0",
            {"customConfig": {"a": "private", "x": "{{ level }}"}},
            'function "level" not defined',
        ),
        ("vector", "0.35.0", {"existingConfigMaps": ["mine"]}, "existingConfigMaps need dataDir"),
    ],
)
def test_values_that_do_not_render(
    helm: Helm, name: str, version: str, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ChartError, match=reason) as caught:
        render(helm, name, version, values)
    said = caught.value.summary
    assert f"{name}/templates/" in said
    assert ".yaml:" in said
    assert "Error:" not in said
    assert "\n" not in said
    assert "level=" not in said
    # The whole text given to `tpl` is no reason, and may hold what nobody should read.
    assert "private" not in said


def test_an_archive_that_is_none(helm: Helm, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"<html>")
    for archive in (broken, tmp_path / "none.tgz"):
        with pytest.raises(RefusedError, match=archive.name) as caught:
            helm.render(archive, "x", "y", {})
        assert not isinstance(caught.value, ChartError)


@pytest.mark.parametrize("version", ["1.6.5", "v1.6.5", "1.6.x", ">=1.6 <2", ""])
def test_versions_that_are_listed(helm: Helm, version: str) -> None:
    archive = helm.fetch(Chart(URL, "parseable", version))
    assert "kind: Deployment" in helm.render(archive, "logs", "logs", {})


@pytest.mark.parametrize(
    ("name", "version"), [("parseable", "1.6.55"), ("parseable", "2.x"), ("parseable", "junk!")]
)
def test_what_the_repository_does_not_list(helm: Helm, charts: Path, name: str, version: str) -> None:
    with pytest.raises(ChartError) as caught:
        helm.fetch(Chart(URL, name, version))
    assert all(part in caught.value.summary for part in (name, version, URL, f"mirror {charts}"))
    assert "127.0.0.1" not in str(caught.value)


def test_a_folder_without_the_chart_says_nothing(helm: Helm, charts: Path) -> None:
    with pytest.raises(RefusedError, match=f"the mirror {charts} has no chart nope") as caught:
        helm.fetch(Chart(URL, "nope", "1.0.0"))
    assert not isinstance(caught.value, ChartError)


@pytest.mark.parametrize("name", ["--help", "../x", "", "a/../b"])
def test_a_name_that_is_none(helm: Helm, name: str) -> None:
    with pytest.raises(ChartError, match="is not the name of a chart"):
        helm.fetch(Chart(URL, name, "1.0.0"))


def test_a_pinned_version_is_kept(helm: Helm) -> None:
    archive = helm.fetch(PARSEABLE)
    assert Helm(helm.cache, {}, offline=True).fetch(PARSEABLE) == archive
    assert list(helm.cache.glob("*.tgz")) == [archive]
    assert not list((helm.cache / ".new").iterdir())


def test_offline_with_a_cold_cache(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="not in the cache") as caught:
        Helm(tmp_path / "cache", {}, offline=True).fetch(PARSEABLE)
    assert not isinstance(caught.value, ChartError)
    assert "run once with the network" in caught.value.hint


@pytest.mark.parametrize("version", ["1.6.x", ""])
def test_offline_a_range_is_not_taken_from_the_cache(helm: Helm, version: str) -> None:
    chart = Chart(URL, "parseable", version)
    helm.fetch(chart)
    with pytest.raises(RefusedError, match="cannot resolve") as caught:
        Helm(helm.cache, {}, offline=True).fetch(chart)
    assert "pin the version" in caught.value.hint


def test_offline_with_a_folder(helm: Helm) -> None:
    assert Helm(helm.cache, helm.mirrors, offline=True).fetch(Chart(URL, "parseable", "1.6.x")).is_file()


def test_a_url_as_mirror(tmp_path: Path, charts: Path) -> None:
    assert shell.run(("helm", "repo", "index", "."), cwd=charts).code == 0
    with serving(partial(Files, directory=str(charts))) as host:
        helm = Helm(tmp_path / "cache", {URL: f"http://{host}"})
        assert helm.fetch(PARSEABLE).is_file()
        with pytest.raises(ChartError, match=host):
            helm.fetch(Chart(URL, "parseable", "9.9.9"))
    with pytest.raises(RefusedError, match="holds a login") as caught:
        Helm(tmp_path / "cache", {URL: f"http://user:word@{host}"}).fetch(Chart(URL, "parseable", "9.9.9"))
    assert "word" not in str(caught.value)


def test_a_page_in_place_of_an_archive_is_not_kept(tmp_path: Path, charts: Path) -> None:
    assert shell.run(("helm", "repo", "index", "."), cwd=charts).code == 0
    index = charts / "index.yaml"
    lines = index.read_text().splitlines()
    index.write_text("\n".join(line for line in lines if "digest:" not in line))
    (charts / "parseable-1.6.5.tgz").write_text("<html>please log in</html>")
    with serving(partial(Files, directory=str(charts))) as host, pytest.raises(RefusedError) as caught:
        Helm(tmp_path / "cache", {}).fetch(Chart(f"http://{host}", "parseable", "1.6.5"))
    assert not isinstance(caught.value, ChartError)
    assert not list(tmp_path.glob("cache/*"))


def test_a_registry(tmp_path: Path, charts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "folder", charts, raising=False)
    with serving(Registry) as host:
        url = f"oci://{host}/team"
        helm = Helm(tmp_path / "cache", {})
        for version in ("1.6.5", "1.x"):
            assert helm.fetch(Chart(url, "parseable", version)).is_file()
        for version in ("1.6.6", "2.x"):
            with pytest.raises(ChartError, match=version):
                helm.fetch(Chart(url, "parseable", version))
        with pytest.raises(RefusedError) as caught:
            helm.fetch(Chart(url, "private", "1.6.5"))
        assert not isinstance(caught.value, ChartError)


# Helm asks a registry that fails (5xx) again for seconds: that way through is the same as for http.
@pytest.mark.parametrize(
    ("scheme", "code"),
    [("http", 401), ("http", 404), ("http", 500), ("http", 503), ("oci", 401), ("oci", 404)],
)
def test_a_repository_that_gives_no_answer(tmp_path: Path, scheme: str, code: int) -> None:
    with (
        serving(answering(code)) as host,
        pytest.raises(RefusedError, match=f"cannot get chart .*{host}") as caught,
    ):
        Helm(tmp_path / "cache", {}).fetch(Chart(f"{scheme}://{host}/x", "parseable", "1.6.5"))
    assert not isinstance(caught.value, ChartError)
    assert caught.value.hint


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9", "oci://127.0.0.1:9/x", "http://no.such.host.invalid"]
)
def test_a_repository_that_is_not_there(tmp_path: Path, place: str) -> None:
    with pytest.raises(RefusedError, match="cannot get chart") as caught:
        Helm(tmp_path / "cache", {}).fetch(Chart(place, "parseable", "1.6.5"))
    assert not isinstance(caught.value, ChartError)


def test_a_mirror_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is not a folder"):
        Helm(tmp_path / "cache", {URL: str(tmp_path / "none")}).fetch(PARSEABLE)


def test_no_helm(helm: Helm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = helm.fetch(PARSEABLE)
    monkeypatch.setattr(shell, "find", lambda tool: None)
    for ask in (
        lambda: helm.render(archive, "x", "y", {}),
        lambda: helm.fetch(Chart(URL, "vector", "0.35.0")),
    ):
        with pytest.raises(RefusedError, match="helm is not installed") as caught:
            ask()
        assert "https://helm.sh" in caught.value.hint
        assert not isinstance(caught.value, ChartError)


def test_nothing_of_the_user_is_touched(helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    # Read, these would make helm fail.
    monkeypatch.setenv("HELM_REPOSITORY_CONFIG", str(tmp_path))
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(tmp_path))
    helm.render(helm.fetch(PARSEABLE), "logs", "logs", {})
    assert not list(home.rglob("*"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", "helm said nothing"),
        ("level=WARN x\nError: INSTALLATION FAILED: bad\nthing\n\nUse --debug", "bad; thing"),
        (
            "Error: execution error at (v/templates/d.yaml:3:4): give a name",
            "v/templates/d.yaml:3: give a name",
        ),
        (
            (
                'Error: template: a/x.yaml:1:2: executing "a/x.yaml" at <include "b" .>: error calling'
                ' include: template: a/_h.tpl:7:3: executing "b" at <fail>: wrong'
            ),
            "template a/_h.tpl:7: at <fail>: wrong",
        ),
        (
            'Error: a/x.yaml:1:2\n  at <b>:\n bad\na/_h.tpl:7:3\n  executing "b" at <.x>:\n wrong\n\nUse',
            "template a/_h.tpl:7: at <.x>: wrong",
        ),
    ],
)
def test_the_point_of_what_helm_said(said: str, expected: str) -> None:
    assert shorten(said) == expected


def test_a_damaged_archive_in_the_cache_is_fetched_again(helm: Helm) -> None:
    archive = helm.fetch(PARSEABLE)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert helm.fetch(PARSEABLE).read_bytes() == whole


def test_a_damaged_archive_in_a_folder_says_nothing(helm: Helm, charts: Path) -> None:
    (archive,) = charts.glob("parseable-*.tgz")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(RefusedError, match="is damaged") as caught:
        helm.fetch(PARSEABLE)
    assert not isinstance(caught.value, ChartError)


def test_a_login_in_a_url_is_not_used(helm: Helm) -> None:
    with pytest.raises(RefusedError, match=r"the URL of https://charts\.test holds a login") as caught:
        helm.fetch(Chart("https://me:hidden@charts.test", "parseable", "1.6.5"))
    assert "hidden" not in str(caught.value)


def test_a_cache_that_cannot_be_written_to(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RefusedError, match=r"cannot keep the chart in .*cache: File exists"):
        helm.fetch(PARSEABLE)


def bomb() -> bytes:
    """A chart of some kilobytes with a file of 1.2 GB."""
    about = b"apiVersion: v2\nname: bomb\nversion: 1.0.0\n"
    files = []
    for name, size in (("bomb/Chart.yaml", len(about)), ("bomb/values.yaml", 1200 << 20)):
        header = tarfile.TarInfo(name)
        header.size = size
        files.append(gzip.compress(header.tobuf()))
    block = gzip.compress(bytes(1 << 20))
    return b"".join([files[0], gzip.compress(about.ljust(512, b"\0")), files[1], block * 1200])


def test_a_chart_that_unpacks_to_more_than_helm_takes(tmp_path: Path) -> None:
    folder = tmp_path / "charts"
    folder.mkdir()
    (folder / "bomb-1.0.0.tgz").write_bytes(bomb())
    entry = {"name": "bomb", "version": "1.0.0", "apiVersion": "v2", "urls": ["bomb-1.0.0.tgz"]}
    (folder / "index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": {"bomb": [entry]}}))
    start = monotonic()
    reason = "its file 'bomb/values.yaml' has more than 5 MiB, which Helm refuses"
    with serving(partial(Files, directory=str(folder))) as host, pytest.raises(ChartError, match=reason):
        Helm(tmp_path / "cache", {}).fetch(Chart(f"http://{host}", "bomb", "1.0.0"))
    with pytest.raises(RefusedError, match=rf"bomb-1\.0\.0\.tgz cannot be used: {reason}"):
        Helm(tmp_path / "cache", {URL: str(folder)}).fetch(Chart(URL, "bomb", "1.0.0"))
    assert monotonic() - start < 30
    assert not list(tmp_path.glob("cache/*"))


def test_another_archive_in_the_folder_does_not_matter(helm: Helm, charts: Path) -> None:
    (charts / "bomb-1.0.0.tgz").write_bytes(bomb())
    (charts / "broken-1.0.0.tgz").write_bytes(b"broken")
    assert helm.fetch(PARSEABLE).is_file()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ('a: {{ repeat 3000000000 "x" }}', "out of memory"),
        ('{{ range until 2000000 }}a: {{ repeat 1000 "x" }}\n{{ end }}', "out of memory|wrote more than"),
    ],
)
def test_a_template_without_end(tmp_path: Path, template: str, reason: str) -> None:
    path = tmp_path / "endless-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            ("endless/Chart.yaml", "apiVersion: v2\nname: endless\nversion: 1.0.0\n"),
            ("endless/templates/a.yaml", template),
        ):
            header = tarfile.TarInfo(name)
            header.size = len(text)
            archive.addfile(header, io.BytesIO(text.encode()))
    with pytest.raises(RefusedError, match=reason) as caught:
        Helm(tmp_path / "cache", {}).render(path, "x", "y", {})
    assert not isinstance(caught.value, ChartError)


def test_an_index_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"# " + b"x" * 65_536 + b"\n")

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setattr(helm_module, "_MEMORY", 512 << 20)
    with serving(Endless) as host, pytest.raises(RefusedError, match="out of memory") as caught:
        Helm(tmp_path / "cache", {}).fetch(Chart(f"http://{host}", "parseable", "1.6.5"))
    assert not isinstance(caught.value, ChartError)


@pytest.mark.parametrize(
    "said",
    [
        "Error: " + "template: " + "/" * 500_000,
        "Error: " + "template: a/" * 50_000,
        "Error: " + 'cannot parse template "' * 50_000,
        "Error: " + "execution error at (" * 50_000,
        "Error: " + "a/b:" * 200_000 + "\n" + "\n".join(["a/b:1:1x"] * 100_000),
        "\n" * 500_000,
    ],
)
def test_no_words_of_a_chart_take_ages(said: str) -> None:
    start = monotonic()
    assert len(shorten(said)) < 100_000
    assert monotonic() - start < 20
