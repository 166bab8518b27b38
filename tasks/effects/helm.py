"""The one door to helm: fetches the charts that the files name, and renders them as the cluster would."""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tasks.core.console import told_if_slow
from tasks.core.errors import OfflineError, RefusedError, UnavailableError, refused_by_system
from tasks.effects import archives, http, shell
from tasks.effects.scratch import scratch_folder

_HINT = "install helm (https://helm.sh)"
_SECONDS = 120.0  # a large chart over a slow line
# Flux takes an index of 50 MiB (source-controller, internal/helm/helm.go: MaxIndexSize), for which helm needs
# about 1.1 GB; an index or a template without end is not to take all there is.
_MEMORY = 2 << 30
# What lives for milliseconds need not clean up, which is a fourth of its time.
_SHORT_LIVED = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
_UNREACHABLE = "check the network, or name a mirror of it in charts.mirrors"
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*", re.ASCII)
# What helm says when the repository did answer and has no such chart: HTTP index, then tags of a registry.
_NOT_LISTED = re.compile(
    r'chart ".+?" (?:version ".*?" |matching .*? )?not found in .+ (?:repository|index)'
    r"|could not locate a version matching provided version string"
    r"|improper constraint"
)
# The innermost file that failed (text given to `tpl` is in none): those around it give no reason.
_TEMPLATE = re.compile(r'.*template: (\S+/\S+?:\d+)(?::\d+)?: (?:executing "[^"]*" )?(.*)', re.DOTALL)
# The same as newer versions write it, on lines of their own.
_FRAME = re.compile(r"\S+/\S+:\d+:\d+")
_EXECUTING = re.compile(r'executing "[^"]*" ')
# Helm quotes all of the text between these, which may be a whole configuration.
_QUOTED = ('cannot parse template "', '": template: ')
# A chart may write anything into its error.
_MOST_LINES, _LONGEST_LINE = 50, 1000
_RAISED = re.compile(r"(?:execution|parse) error at \((\S+?:\d+)(?::\d+)?\): *")
# What is wrong with helm, not with the chart or its values.
_ITS_OWN = re.compile(
    r"unknown (?:shorthand )?flag|unknown command|out of memory|cannot allocate|helm said nothing"
)
_NOISE = re.compile(r"^(?:Error: |(?:INSTALLATION|UPGRADE) FAILED: )+")


@dataclass(frozen=True)
class Chart:
    """A chart as a HelmRelease names it.

    ``repository`` is the URL of its repository (``https://…``, ``http://…`` or ``oci://host/path``);
    ``version`` is a version, a range, or "" for the newest.
    """

    repository: str
    name: str
    version: str

    @property
    def is_pinned(self) -> bool:
        """Whether the version is one version, not a range whose answer changes."""
        return _EXACT.fullmatch(self.version) is not None

    def __str__(self) -> str:
        return f"chart {self.name} {self.version}".rstrip()


class ChartError(RefusedError):
    """Helm refused: the chart does not render, or its repository does not list it."""


class Helm:
    """helm with a cache of archives and mirrors of repositories; the user's own Helm settings play no part.

    ``mirrors`` maps a repository's URL to another URL, or to a folder of ``.tgz`` archives. ``rendered`` is
    for whoever asks for the same more than once in a run: what was made of a release, by all it is made of.
    """

    def __init__(self, cache: Path, mirrors: Mapping[str, str], *, offline: bool = False) -> None:
        self.cache = cache
        self.mirrors = {url.rstrip("/"): target for url, target in mirrors.items()}
        self.offline = offline
        self.rendered: dict[str, str] = {}

    def fetch(self, chart: Chart, *, fresh: bool = False) -> Path:
        """The archive of ``chart``: from the cache when the version is pinned, else or if ``fresh`` pulled.

        Raises:
            ChartError: the repository answers, and does not list the chart in this version.
            RefusedError: it cannot be known: no helm, no network, no answer.
        """
        if not _NAME.fullmatch(chart.name):
            raise ChartError(f"{chart.name!r} is not the name of a chart")
        kept = self.cache / _slot(chart)
        if chart.is_pinned and not fresh and _is_whole(kept):
            return kept
        target = self.mirrors.get(chart.repository.rstrip("/"), chart.repository)
        if "@" in target.partition("://")[2].partition("/")[0]:
            # It would be seen in the list of processes.
            raise RefusedError(
                f"the URL of {_shown(chart.repository)} holds a login",
                "name a mirror of it in charts.mirrors",
            )
        is_folder = "://" not in target
        if self.offline and not is_folder:
            raise _offline(chart)
        with scratch_folder("helm-") as scratch:
            if is_folder:
                _check_folder(Path(target), chart)
                with _served(Path(target), chart, scratch) as url:
                    archive = self._pull(chart, url, target, scratch)
            else:
                archive = self._pull(chart, target, target, scratch)
            return self._keep(archive, kept)

    def render(self, archive: Path, release: str, namespace: str, values: Mapping[str, Any]) -> str:
        """The manifests of ``archive`` with ``values``, as text of many YAML documents.

        Raises:
            ChartError: the chart does not render with these values.
            RefusedError: it cannot be known: no helm, or the archive cannot be read.
        """
        with scratch_folder("helm-") as scratch:
            done = _helm(
                scratch,
                "template",
                f"--namespace={namespace}",
                "--include-crds",
                "--skip-tests",
                "--values=-",
                "--",
                release,
                str(archive.absolute()),
                more=_SHORT_LIVED,
                # JSON is YAML in which no text can be taken for a number (1e3); a date is text in Helm.
                stdin=json.dumps(values, default=str).encode(),
            )
        if done.code != 0:
            raise _render_error(archive, release, done)
        return done.stdout.decode(errors="replace")

    def _pull(self, chart: Chart, url: str, target: str, scratch: Path) -> Path:
        folder = scratch / "pulled"
        folder.mkdir()
        place = _shown(chart.repository)
        if target != chart.repository:
            place += f" (mirror {_shown(target)})"
        with told_if_slow(f"fetching {chart} from {place} …"):
            done = _helm(scratch, "pull", f"--destination={folder}", *_where(chart, url))
        pulled = list(folder.glob("*.tgz"))
        if done.code == 0 and pulled:
            try:
                archives.unpacked(archives.read(pulled[0]))
            except archives.IllegalArchiveError as error:
                raise ChartError(
                    f"{place} has {chart}, which cannot be loaded: {error}", "choose another version"
                ) from None
            except archives.ArchiveError as error:
                # The page of a proxy or a login, say; an index without digests lets it pass.
                raise OfflineError(f"{place} gives no archive for {chart}: {error}", _UNREACHABLE) from None
            return pulled[0]
        said = shorten(done.said).replace(url, _shown(url))
        if _NOT_LISTED.search(said) or _is_missing_tag(chart, url, said, scratch):
            version = f"version {chart.version} of " if chart.version else ""
            raise ChartError(
                f"{place} does not list {version}chart {chart.name}",
                f"see what it lists: {_listing(chart)}",
            )
        raise OfflineError(f"cannot get {chart} from {place}: {said}", _UNREACHABLE)

    def _keep(self, archive: Path, kept: Path) -> Path:
        # Written beside its place first: whoever looks meanwhile finds a whole archive or none.
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with scratch_folder("chart-", self.cache / ".new") as beside:
                fresh = beside / kept.name
                fresh.write_bytes(archive.read_bytes())
                fresh.replace(kept)
        except OSError as error:
            refused = refused_by_system(f"cannot keep the chart in {self.cache}", error)
            raise UnavailableError(refused.summary, refused.hint) from None
        return kept


def shorten(said: str) -> str:
    """The point of what helm said: one line, with the template's file and line where there is one."""
    lines = [line.strip() for line in said.splitlines()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    told = lines[starts[0] :] if starts else lines
    # After an empty line comes advice about helm's own flags.
    end = told.index("") if "" in told else len(told)
    text = "\n".join(told[:end])
    opening, closing = text.find(_QUOTED[0]), text.rfind(_QUOTED[1])
    if 0 <= opening < closing:
        text = f"{text[:opening]}cannot parse template: {text[closing + len(_QUOTED[1]) :]}"
    told = text.splitlines()
    if len(told) > _MOST_LINES:
        told = [told[0], "…", *told[2 - _MOST_LINES :]]
    told = [_NOISE.sub("", line[:_LONGEST_LINE]) for line in told]
    frames = [number for number, line in enumerate(told) if _FRAME.fullmatch(line)]
    if frames:
        place = told[frames[-1]].rpartition(":")[0]
        return f"template {place}: {_EXECUTING.sub('', ' '.join(told[frames[-1] + 1 :]))}"
    text = "; ".join(told) or "helm said nothing"
    raised = list(_RAISED.finditer(text))
    if raised:
        return f"{raised[-1][1]}: {text[raised[-1].end() :]}"
    failed = _TEMPLATE.fullmatch(text)
    return f"template {failed[1]}: {failed[2]}" if failed else text


def _helm(
    scratch: Path, *arguments: str, stdin: bytes = b"", more: Mapping[str, str] = MappingProxyType({})
) -> shell.Result:
    return shell.run(
        ("helm", *arguments),
        cwd=scratch,
        stdin=stdin,
        environment={**_environment(scratch), **more},
        missing_hint=_HINT,
        seconds=_SECONDS,
        memory=_MEMORY,
    )


def _environment(scratch: Path) -> dict[str, str | None]:
    """Nothing of the user's is read or written: not Helm's settings, a cluster's, or Docker's logins."""
    own = {name: str(scratch / "home") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    foreign = [name for name in os.environ if name.startswith("HELM_")]
    elsewhere = {"DOCKER_CONFIG": str(scratch / "home"), "KUBECONFIG": str(scratch / "home" / "none")}
    return {**dict.fromkeys(foreign), **own, **elsewhere}


def _where(chart: Chart, url: str) -> list[str]:
    """The arguments that name the chart at ``url``."""
    version = [f"--version={chart.version}"] if chart.version else []
    if not url.startswith("oci://"):
        return [f"--repo={url}", *version, "--", chart.name]
    plain = ["--plain-http"] if http.is_loopback(urlsplit(url)) else []
    return [*plain, *version, "--", f"{url.rstrip('/')}/{chart.name}"]


def _listing(chart: Chart) -> str:
    place = _shown(chart.repository).rstrip("/")
    if place.startswith("oci://"):
        return f"helm show chart {place}/{chart.name}"
    return f"helm show chart --repo {place} {chart.name}"


def _is_missing_tag(chart: Chart, url: str, said: str, scratch: Path) -> bool:
    # A registry says "not found" for a missing tag and a missing repository alike; only one that lists other
    # versions of the chart proves that this version is what is wrong.
    if not (url.startswith("oci://") and chart.version and said.endswith("not found")):
        return False
    other = Chart(chart.repository, chart.name, ">=0.0.0-0")
    return _helm(scratch, "show", "chart", *_where(other, url)).code == 0


def _render_error(archive: Path, release: str, done: shell.Result) -> RefusedError:
    said = shorten(done.said)
    if done.code < 0 or _ITS_OWN.search(said) or not _is_whole(archive):
        return UnavailableError(f"cannot render {archive.name}: {said}", f"delete {archive} and try again")
    if "incompatible with Kubernetes" in said:
        # Helm compares with a version built into it, which says nothing of the cluster's.
        return UnavailableError(f"cannot render release {release}: {said}", "use a newer helm")
    return ChartError(f"release {release} does not render: {said}", "correct the values of the HelmRelease")


def _offline(chart: Chart) -> OfflineError:
    if not chart.is_pinned:
        asked = f"the range {chart.version}" if chart.version else "the newest version"
        return OfflineError(
            f"cannot resolve {asked} of chart {chart.name} without the network",
            "pin the version to one release, or name a folder with it in charts.mirrors",
        )
    return OfflineError(
        f"{chart} from {_shown(chart.repository)} is not in the cache, and the network is not to be used",
        "run once with the network, or name a folder with it in charts.mirrors",
    )


def _slot(chart: Chart) -> str:
    key = "\0".join((chart.repository.rstrip("/"), chart.name, chart.version))
    version = chart.version if chart.is_pinned else "range"
    return f"{chart.name.replace('/', '-')}-{version}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.tgz"


def _shown(url: str) -> str:
    """``url`` without a user name and password."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def _served(folder: Path, chart: Chart, scratch: Path) -> Iterator[str]:
    """The URL of a repository with the chart's archives in ``folder``: helm itself picks the version."""
    if not folder.is_dir():
        raise OfflineError(f"the mirror {folder} is not a folder", "name a folder of .tgz archives, or a URL")
    root = scratch / "repository"
    root.mkdir()
    for archive in folder.glob(f"{chart.name}-*.tgz"):
        (root / archive.name).symlink_to(archive.absolute())
    done = _helm(scratch, "repo", "index", str(root))
    if done.code != 0:
        raise OfflineError(
            f"the mirror {folder} cannot be indexed: {shorten(done.said)}", "keep only charts in it"
        )
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _check_folder(folder: Path, chart: Chart) -> None:
    """Check that a folder of archives can say something of ``chart``: it has some, and all can be read."""
    found = list(folder.glob(f"{chart.name}-*.tgz"))
    if folder.is_dir() and not found:
        raise OfflineError(
            f"the mirror {folder} has no chart {chart.name}", "put its archive into the folder"
        )
    for archive in found:
        try:
            archives.unpacked(archives.read(archive))
        except archives.ArchiveError as error:
            raise OfflineError(f"{archive} cannot be used: {error}", "put the archive there again") from None


def _is_whole(archive: Path) -> bool:
    try:
        archives.unpacked(archives.read(archive))
    except archives.ArchiveError:
        return False
    return True
