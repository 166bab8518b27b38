"""DoD-003 to DoD-005: Parseable's chart, storage, resources, credentials and metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from checks.answers import NEEDS_CLUSTER, judged, shown
from checks.generated import encryption
from checks.kinds import unproved
from checks.model import AnsweredError, Cause, Model, Outcome, Stage, failed, passed, unknown
from checks.references import is_given, key_problem, keys_made, keys_of, maker_of
from tasks.core.credentials import SECRET_KEY
from tasks.core.errors import HiddenError, PlaybookError
from tasks.core.settings import Parseable
from tasks.effects.helm import ChartError
from tasks.effects.s3_errors import UntrustedError
from tasks.effects.sops import inspect, oddity
from tasks.effects.tls import Distrust, distrust_of
from tasks.flux.cluster import Cluster
from tasks.flux.releases import chart_of
from tasks.flux.substitution import has_variable
from tasks.flux.versions import metrics_of
from tasks.kube import makers
from tasks.kube.pods import Pod, variables
from tasks.kube.resources import Resource
from tasks.kube.services import is_selected, scrape_problems
from tasks.subjects import given_secret
from tasks.subjects.kept import kept_settings
from tasks.subjects.parseable import (
    CA_VARIABLES,
    LOGIN_VARIABLES,
    PARSEABLE,
    PASSWORD,
    PATH_STYLE_VARIABLE,
    S3_VARIABLES,
    SKIP_VERIFY_VARIABLE,
    STORE,
    SYSTEM_CA_FOLDERS,
    store_variables,
)
from tasks.yaml.documents import dig, items, load_documents, mapping

_STACK = "kube-prometheus-stack"
_UNSEEN = "Prometheus would scrape nothing, or be refused"
_UNTRUSTED = "every request of Parseable to S3 would end with a certificate error, and it would not get ready"
_NO_STORE = "Parseable would not start, or keep its logs in an emptyDir"


def release_names_official_chart(model: Model) -> Outcome:
    """DoD-003-01: the chart's name, and the URL of the repository that it comes from."""
    wanted = model.settings.parseable.chart_repository.rstrip("/")
    releases = [item for item in model.objects_of(PARSEABLE) if item.key.kind == "HelmRelease"]
    if not releases:
        raise AnsweredError(
            failed("there is no HelmRelease of Parseable", "nothing would be deployed", "invoke task-003")
        )
    try:
        sources = model.cluster
    except AnsweredError:
        sources = Cluster(model.tree, ())
    problems, hidden = [], []
    for item in releases:
        try:
            chart = chart_of(sources, item.data)
        except HiddenError as error:
            hidden.append(error)
            continue
        except ChartError as error:
            problems.append(f"{item.key}: {error.summary}")
            continue
        if (chart.repository.rstrip("/"), chart.name) == (wanted, "parseable"):
            return passed(f"{item.key} has chart parseable from {wanted}")
        if chart.name == "parseable" and model.stage is Stage.WRITTEN:
            return unknown(
                f"{item.key} has chart parseable from {chart.repository} until TASK-011 settles that",
                Cause.STAGE,
            )
        problems.append(
            f"{item.key} has chart {chart.name} from {chart.repository}, not parseable from {wanted}"
        )
    if hidden:
        return unknown(
            hidden[0].summary, hidden[0].cause, "TASK-011 writes it; the check of sources finds it"
        )
    return failed(
        "; ".join(problems),
        "another chart than the official one would be installed",
        "invoke task-003, or set parseable.chart_repository to the repository that serves it",
        model.place_of(releases[0], "spec", "chart", "spec", "sourceRef"),
    )


def servers_of(model: Model) -> list[tuple[Pod, Mapping[str, Any]]]:
    """The pods that run Parseable's server, with its container; never none.

    Raises:
        AnsweredError: there are none, or it is not known which.
    """
    # A chart may have jobs beside it; of them none is given a place to store logs.
    found = [
        (pod, container)
        for pod in model.pods_of(PARSEABLE)
        if pod.owner.key.kind in ("Deployment", "StatefulSet")
        for container in pod.containers()
        if "parseable" in str(container.get("image")) or "parseable" in str(container.get("name"))
    ]
    if not found:
        raise AnsweredError(
            failed("no Deployment or StatefulSet runs Parseable", "there is no server", "invoke task-003")
        )
    return found


def connects_to_s3(model: Model) -> Outcome:
    """DoD-003-02: the mode, and all variables that it needs.

    Their names and defaults: https://github.com/parseablehq/parseable/blob/v1.7.3/src/storage/s3.rs
    """
    s3, servers = model.settings.s3, servers_of(model)
    wanted = {name: value for name, value in store_variables(s3).items() if name != PATH_STYLE_VARIABLE}
    problems = []
    for pod, container in servers:
        given = variables(container)
        started = [*items(container, "command"), *items(container, "args")]
        if STORE not in started:
            stores = [item for item in started if str(item).endswith("-store")]
            problems.append(f"{pod.owner.key} starts with {' '.join(stores) or 'no store'}, not {STORE}")
        problems += [
            f"{pod.owner.key} has {name} {_given(given.get(name))}, not {value!r}"
            for name, value in wanted.items()
            if not _is_same(name, given.get(name), value) and not _is_open(container, given.get(name))
        ]
        # Path style is what Parseable does unless told otherwise.
        if str(given.get(PATH_STYLE_VARIABLE, "true")).lower() != "true":
            told = _given(given[PATH_STYLE_VARIABLE])
            problems.append(f"{pod.owner.key} has {PATH_STYLE_VARIABLE} {told}, not 'true'")
    distrust = _distrust(model)
    untrusting = [
        f"{pod.owner.key}: Parseable would not trust the certificate of {s3.endpoint}: {reason}"
        for pod, container in servers
        if distrust is not None and (reason := _distrust_of(model, pod, container, distrust))
    ]
    problems += untrusting
    if not problems and any(_is_open(one, variables(one).get(name)) for _, one in servers for name in wanted):
        return unknown(
            "some variables come from where the repository does not show their values", Cause.CLUSTER
        )
    return judged(
        problems,
        passed(f"{STORE}, {s3.endpoint}, bucket {s3.bucket}, region {s3.region}, path-style"),
        consequence=_UNTRUSTED if untrusting else _NO_STORE,
        remedy=_trust_remedy(distrust) if distrust is not None and untrusting else "invoke task-003",
        place=model.place_of(servers[0][0].owner),
    )


def _distrust(model: Model) -> Distrust | None:
    """Why somebody who knows the public authorities only would not trust the S3 server; None if unknown."""
    s3 = model.settings.s3
    try:
        return model.workspace.bucket_facts.untrusted
    except UntrustedError as error:
        return Distrust(error.summary) if s3.asked == s3.endpoint else None
    except PlaybookError:
        # That is told by the checks of the bucket.
        return None


def _trust_remedy(distrust: Distrust) -> str:
    if distrust.is_authority:
        other = "give the server a certificate that an authority signed"
        return f"{other}, or set s3.tls to skip-verify; then invoke task-003"
    return "set s3.ca_config_map to a ConfigMap with its authority; then invoke task-003"


def _distrust_of(model: Model, pod: Pod, container: Mapping[str, Any], distrust: Distrust) -> str:
    """Why a container would not trust it either; empty if it would, as far as the repository shows.

    It may ask for no trust, or be given other authorities than those of its image.
    """
    given = variables(container)
    if str(given.get(SKIP_VERIFY_VARIABLE)).lower() == "true":
        return ""
    if distrust.is_authority:
        return f"{distrust}; it is an authority's own"
    mounts = {str(dig(one, "mountPath")): str(dig(one, "name")) for one in items(container, "volumeMounts")}
    looked_at = [place for name in CA_VARIABLES for place in str(given.get(name) or "").split(":") if place]
    for place in looked_at or SYSTEM_CA_FOLDERS:
        for mount, volume in mounts.items():
            if PurePosixPath(place).is_relative_to(mount):
                text = _mounted(model, pod, volume, str(PurePosixPath(place).relative_to(mount)))
                found = None if text is None else distrust_of(model.settings.s3.endpoint, text=text)
                return "" if found is None else f"{found} (with the authorities in {place})"
            if PurePosixPath(mount).is_relative_to(place):
                return ""
    return str(distrust)


def _mounted(model: Model, pod: Pod, volume: str, file: str) -> str | None:
    """What a file of a volume holds that is made of a ConfigMap; None if the repository does not show it."""
    source = next(
        (mapping(one, "configMap") for one in items(pod.spec, "volumes") if dig(one, "name") == volume), {}
    )
    name = str(source.get("name"))
    holder = model.resources.find("ConfigMap", pod.owner.key.namespace, name) if source else None
    keys = {str(dig(one, "path")): str(dig(one, "key")) for one in items(source, "items")}
    text = None if holder is None else mapping(holder.data, "data").get(keys.get(file, file))
    return None if text is None else str(text)


def _is_same(name: str, found: object, wanted: str) -> bool:
    is_url = name.endswith("_URL") and isinstance(found, str)
    return found == wanted or (is_url and str(found).rstrip("/") == wanted.rstrip("/"))


def has_resources(model: Model) -> Outcome:
    """DoD-003-03, as Helm's merge with the chart's own defaults leaves it.

    The figures are those of the settings, or those that the owner committed in their place.
    """
    wanted, servers = model.settings.parseable, servers_of(model)
    problems = _other_figures(servers, wanted)
    if problems:
        wanted = kept_settings(model.workspace).parseable
        problems = _other_figures(servers, wanted)
    return judged(
        problems,
        passed(f"memory limit {wanted.memory_limit}, CPU request {wanted.cpu_request}"),
        consequence="the pod would have other limits than the specified ones",
        remedy="invoke task-003",
        place=model.place_of(servers[0][0].owner),
    )


def _other_figures(servers: Sequence[tuple[Pod, Mapping[str, Any]]], wanted: Parseable) -> list[str]:
    """What differs between the resources of the servers and the settings ``wanted``."""
    problems = []
    for pod, container in servers:
        figures = {
            "limits.memory": wanted.memory_limit,
            "requests.cpu": wanted.cpu_request,
            "limits.cpu": wanted.cpu_limit,
        }
        for name, value in figures.items():
            found = dig(container, "resources", *name.split("."))
            if found != value:
                expected = "and should not be set" if value is None else f"not {value!r}"
                problems.append(f"{pod.owner.key}: resources.{name} is {shown(found)}, {expected}")
    return problems


def _secret(model: Model) -> Resource:
    """The Secret of the rollout, or what a controller makes it from.

    That is the one of the settings, else the one that Parseable has its S3 credentials from.

    Raises:
        AnsweredError: there is none in the repository.
    """
    namespace, name = model.layout.namespace, model.settings.parseable.secret
    found, hidden = model.resources.find("Secret", namespace, name) or maker_of(model, namespace, name), None
    if found is None:
        try:
            found = _used_secret(model)
        except AnsweredError as error:
            hidden = error.outcome
    if found is None:
        raise AnsweredError(_without_secret(model, namespace, name, hidden))
    return found


def _without_secret(model: Model, namespace: str, name: str, hidden: Outcome | None) -> Outcome:
    """What to say of a Secret that is not there; ``hidden`` is why it is not known which one is used."""
    if is_given(model, name):
        return _given_by_others(model, namespace, name)
    others = sorted({item.key.name for item in model.objects_of(PARSEABLE) if item.key.kind == "Secret"})
    path = model.mentioned("Secret", name)
    if hidden is not None and hidden.cause is not None and (others or path):
        there = f"{path} has one" if path else f"there is {', '.join(others)}"
        told = f"no Secret {namespace}/{name} is known ({there}): {hidden.evidence}"
        return unknown(told, hidden.cause, hidden.remedy)
    there = f" (there is {', '.join(others)})" if others else ""
    return failed(
        f"there is no Secret {namespace}/{name}{there}", "the pods would not find it", "invoke task-004"
    )


def _given_by_others(model: Model, namespace: str, name: str) -> Outcome:
    """What to say of a Secret that somebody else gives, and that is not among what is applied."""
    found = given_secret.givers(model.workspace)
    if found and model.stage < Stage.BUILT:
        return unknown(
            f"Secret {namespace}/{name}: {found[0]} gives it; a later stage shows whether that is applied",
            Cause.STAGE,
            "invoke verify",
        )
    if found:
        return unknown(
            f"Secret {namespace}/{name}: {found[0]} gives one, but nothing is seen to apply it there",
            Cause.CLUSTER,
            f"let a Kustomization of that namespace apply it, or: {given_secret.make_hint(model.workspace)}",
        )
    return unknown(
        f"Secret {namespace}/{name}: somebody else gives it (secret.manage is existing), and the repository "
        "does not show who",
        Cause.CLUSTER,
        given_secret.make_hint(model.workspace),
    )


def _used_secret(model: Model) -> Resource | None:
    """The one Secret that all servers have both S3 credentials from; None if there is none.

    Raises:
        AnsweredError: it is not known what the servers have.
    """
    servers = servers_of(model)
    used = {_source_of(model, *server, name) for server in servers for name in S3_VARIABLES}
    names = {None if source is None else source[0] for source in used}
    if len(names) != 1 or (name := names.pop()) is None:
        return None
    return model.resources.find("Secret", servers[0][0].owner.key.namespace, name)


def secret_has_keys(model: Model) -> Outcome:
    """DoD-004-01: the documented keys, or the chart's own that Parseable gets its credentials from."""
    found = _secret(model)
    keys = keys_of(found) if found.key.kind == "Secret" else keys_made(found)
    if keys is None:
        told = f"the Secret is made from {found.key} in the cluster, with keys that are not seen here"
        return unknown(told, Cause.CLUSTER, given_secret.show_command(model.workspace))
    missing = [key for key in S3_VARIABLES.values() if key not in keys]
    if not missing:
        return passed(f"{found.key} has {' and '.join(S3_VARIABLES.values())}")
    lacks = f"{found.key} lacks {', '.join(missing)}"
    given = given_secret.is_given(model.workspace)
    try:
        used = {
            name: _source_of(model, *server, name) for server in servers_of(model) for name in S3_VARIABLES
        }
    except AnsweredError as error:
        if error.outcome.cause is not None:
            told = f"{lacks}; whether Parseable takes others: {error.outcome.evidence}"
            return unknown(told, error.outcome.cause, error.outcome.remedy)
        used = {}
    made = makers.made_from(found.data)
    name = made.name if made is not None else found.key.name
    if used and all(source is not None and source[0] == name for source in used.values()):
        names = [source[1] for source in used.values() if source is not None]
        if set(names) <= set(keys):
            return passed(f"{found.key} has {' and '.join(names)}, which Parseable gets its credentials from")
    return failed(
        lacks,
        "Parseable would have no S3 credentials",
        "invoke task-004" if found.key.kind == "Secret" and not given else f"add them in {found.path}",
        model.place_of(found),
    )


def secret_is_encrypted(model: Model) -> Outcome:
    """DoD-004-02."""
    resource = _secret(model)
    generated = encryption(model, resource)
    if generated is not None:
        return generated
    where = model.place_of(resource)
    if resource.key.kind != "Secret":
        return _made_without_text(resource, where)
    return _encrypted(model, resource, where)


def _encrypted(model: Model, resource: Resource, where: str) -> Outcome:
    """Whether sops encrypted the file of a Secret, for somebody and as a whole."""
    found = inspect(model.text(resource.path))
    is_given = given_secret.is_given(model.workspace)
    mend = f"sops encrypt -i {resource.path}" if is_given else "invoke task-004"
    if found is None and not given_secret.is_readable(dict(resource.data)):
        return passed(f"{resource.key} holds variables of Flux only, whose values are not in this file")
    if found is None:
        return failed(
            f"{resource.path} is not a Secret encrypted by sops: {oddity(model.text(resource.path))}",
            "the credentials are readable, or Flux cannot apply them",
            f"if it was pushed, rotate the S3 key; then {mend}",
            where,
        )
    if found.plain_keys:
        return failed(
            f"not encrypted: {', '.join(sorted(found.plain_keys))}",
            "everyone with the repository could read it",
            f"rotate that value if it was pushed; then {mend}",
            where,
        )
    if not found.readers.count:
        return failed(
            "the Secret is encrypted for no key",
            "Flux could not decrypt it",
            f"name keys in .sops.yaml, then {mend}",
            where,
        )
    return passed(f"every value is encrypted, for {found.readers}")


def _made_without_text(maker: Resource, where: str) -> Outcome:
    """Whether an object that a Secret is made from shows none of its secret values."""
    made = makers.made_from(maker.data)
    shown_keys = sorted((made.plain if made else frozenset()) & {SECRET_KEY, PASSWORD})
    if shown_keys:
        return failed(
            f"{maker.key} has {', '.join(shown_keys)} in plain text in its template",
            "everyone with the repository could read it",
            f"take the value from the store of {maker.key}, and rotate it if it was pushed",
            where,
        )
    return passed(f"no value is in the repository: the Secret is made from {maker.key} in the cluster")


def _source_of(model: Model, pod: Pod, container: Mapping[str, Any], variable: str) -> tuple[str, str] | None:
    """The Secret and the key that ``variable`` of a container is taken from; None if from no Secret."""
    reference = mapping(variables(container).get(variable), "secretKeyRef")
    if reference:
        return str(reference.get("name")), str(reference.get("key"))
    for source in items(container, "envFrom"):
        name, prefix = dig(source, "secretRef", "name"), str(dig(source, "prefix") or "")
        holder = model.resources.find("Secret", pod.owner.key.namespace, str(name)) if name else None
        key = variable.removeprefix(prefix)
        if holder is not None and variable.startswith(prefix) and key in keys_of(holder):
            return str(name), key
    return None


def _source_problem(
    model: Model, pod: Pod, container: Mapping[str, Any], variable: str, documented: Mapping[str, str]
) -> str | None:
    """What is wrong with where a secret variable comes from; ``documented`` maps variables to keys.

    Any key of a Secret that exists will do, but for the key that is documented for another variable.

    Raises:
        AnsweredError: only the cluster knows.
    """
    given, source = variables(container).get(variable), _source_of(model, pod, container, variable)
    owner, namespace = pod.owner.key, pod.owner.key.namespace
    if source is None and given is None and container.get("envFrom"):
        told = f"{owner}: {variable} may come from envFrom, which is not in the repository"
        raise AnsweredError(unknown(told, Cause.CLUSTER))
    if source is None:
        return f"{owner}: {variable} is {'not set' if given is None else 'not taken from a Secret'}"
    name, key = source
    if key in documented.values() and documented[variable] != key:
        return f"{owner}: {variable} is taken from key {key}, not {documented[variable]}"
    problem = key_problem(model, namespace, name, key)
    return f"{owner}: {variable} is taken from {problem}" if problem else None


def gets_credentials(model: Model) -> Outcome:
    """DoD-004-03: the variables that Parseable reads come from keys that exist, in a Secret that exists."""
    servers = servers_of(model)
    problems = [
        problem
        for server in servers
        for name in S3_VARIABLES
        if (problem := _source_problem(model, *server, name, S3_VARIABLES)) is not None
    ]
    return judged(
        problems,
        unknown(
            f"{' and '.join(S3_VARIABLES)} come from a Secret; whether S3 takes them: {NEEDS_CLUSTER}",
            Cause.CLUSTER,
        ),
        consequence="Parseable would start without S3 credentials, or with wrong ones",
        remedy="invoke task-003",
        place=model.place_of(servers[0][0].owner),
    )


def login_is_not_default(model: Model) -> Iterator[Outcome]:
    """Parseable's login comes from a Secret: without one it is admin/admin."""
    for pod, container in servers_of(model):
        found = (_source_problem(model, pod, container, name, LOGIN_VARIABLES) for name in LOGIN_VARIABLES)
        problems = [problem for problem in found if problem is not None]
        if not problems:
            yield passed(f"{pod.owner.key} has its login from a Secret")
            continue
        yield failed(
            "; ".join(problems),
            "Parseable's login would be its default, admin/admin, or not the one that Vector and Grafana use",
            "invoke task-003",
            model.place_of(pod.owner),
        )


def _is_open(container: Mapping[str, Any], value: object) -> bool:
    """Whether the value of a variable is set in a way that cannot be read here."""
    is_elsewhere = value is None and bool(container.get("envFrom"))
    return is_elsewhere or isinstance(value, dict) or has_variable(value)


def metrics_are_discovered(model: Model) -> Outcome:
    """DoD-005-01: a ServiceMonitor's labels, port, path and login lead to what Parseable serves."""
    own = model.objects_of(PARSEABLE)
    monitors = [
        item for item in model.resources.of_kind("ServiceMonitor") if item in own or _selects(item, own)
    ]
    try:
        servers = servers_of(model)
    except AnsweredError:
        # That much is wrong whatever the chart renders to.
        lost = [problem for item in monitors for problem in _path_problems(model, item)]
        if not lost or len(monitors) > 1:
            raise
        where = model.place_with(monitors[0], "endpoints:")
        return failed("; ".join(lost), _UNSEEN, "invoke task-005", where)
    if not monitors:
        return failed(
            "there is no ServiceMonitor for Parseable among what is applied",
            _UNSEEN,
            "invoke task-005",
            f"{servers[0][0].owner.path}:1",
        )
    found = [(monitor, _monitor_problems(model, monitor)) for monitor in monitors]
    monitor, problems = min(found, key=lambda pair: len(pair[1]))
    if problems:
        where = model.place_with(monitor, "endpoints:")
        return failed("; ".join(problems), _UNSEEN, "invoke task-005", where)
    open_kind = unproved(model, monitor.key)
    if open_kind is not None:
        return open_kind
    evidence = f"{monitor.key} leads to a port and a path that Parseable serves, with its login"
    label = _wanted_label(model)
    if label is not None and label not in mapping(monitor.data, "metadata", "labels").items():
        return unknown(
            f"{evidence}; but Prometheus may look only at those with the label {label[0]}: {label[1]}",
            Cause.CLUSTER,
            "set prometheus.prometheusSpec.serviceMonitorSelectorNilUsesHelmValues: false in the release of "
            f"{_STACK}, or see in the cluster what Prometheus selects",
        )
    return passed(evidence)


def _selects(monitor: Resource, objects: Sequence[Resource]) -> bool:
    """Whether a ServiceMonitor selects a Service among ``objects``."""
    selector = mapping(monitor.data, "spec", "selector")
    return any(selector.values()) and any(
        is_selected(item.data, selector) for item in objects if item.key.kind == "Service"
    )


def _path_problems(model: Model, monitor: Resource) -> list[str]:
    wanted = metrics_of(model.settings).path
    return [
        f"path {shown(dig(endpoint, 'path'))} is not {wanted}, which Parseable serves"
        for endpoint in items(monitor.data, "spec", "endpoints")
        if dig(endpoint, "path") != wanted
    ]


def _monitor_problems(model: Model, monitor: Resource) -> list[str]:
    problems = [*scrape_problems(model.resources, monitor), *_path_problems(model, monitor)]
    for endpoint in items(monitor.data, "spec", "endpoints"):
        for part, variable in zip(("username", "password"), LOGIN_VARIABLES, strict=True):
            reference = mapping(endpoint, "basicAuth", part)
            login = {(_source_of(model, *server, variable)) for server in servers_of(model)}
            source = (str(reference.get("name")), str(reference.get("key")))
            if login == {None} and reference and not key_problem(model, monitor.key.namespace, *source):
                # What login Parseable has is told by the check of it.
                continue
            is_there = not key_problem(model, monitor.key.namespace, *source)
            if source not in login and not (is_there and _is_another_key(source, login, variable)):
                names = " or ".join(f"key {one[1]} of {one[0]}" for one in login if one is not None)
                problems.append(
                    f"basicAuth.{part} is not {names or 'from a Secret'}, and the metrics need a login"
                )
    return problems


def _is_another_key(source: tuple[str, str], login: Iterable[tuple[str, str] | None], variable: str) -> bool:
    """Whether ``source`` is in the Secret of the login, under a key that may hold the same.

    Some keep the login twice: for the server under the names of its variables, for others under plain ones.
    """
    documented = LOGIN_VARIABLES | S3_VARIABLES
    is_of_another = source[1] in documented.values() and documented[variable] != source[1]
    return not is_of_another and any(one is not None and one[0] == source[0] for one in login)


def _wanted_label(model: Model) -> tuple[str, str] | None:
    """The label that the Prometheus of kube-prometheus-stack selects by, unless its values say otherwise.

    https://github.com/prometheus-community/helm-charts/blob/main/charts/kube-prometheus-stack/values.yaml
    """
    for text in model.tree.texts.values():
        if _STACK not in text:
            continue
        for release in load_documents(text):
            chart = dig(release, "spec", "chart", "spec", "chart")
            spec = mapping(release, "spec", "values", "prometheus", "prometheusSpec")
            is_default = spec.get("serviceMonitorSelectorNilUsesHelmValues") is not False
            if chart == _STACK and is_default and not spec.get("serviceMonitorSelector"):
                return "release", str(dig(release, "metadata", "name"))
    return None


def metrics_show_ingestion(model: Model) -> Outcome:
    """DoD-005-02."""
    return unknown(
        f"{NEEDS_CLUSTER}: parseable_events_ingested and parseable_query_execute_time in Prometheus",
        Cause.CLUSTER,
    )


def _given(value: object) -> str:
    return "from elsewhere" if isinstance(value, dict) else shown(value)
