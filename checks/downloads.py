"""Downloads: whether the images of the pods and Grafana's plugin are where the cluster will fetch them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from checks.grafana import plugin_urls
from checks.model import Cause, Model, Outcome, as_note, failed, passed, skipped, unknown
from tasks.core.errors import UnavailableError
from tasks.effects import images
from tasks.flux.grafana_plugins import is_published, url_of
from tasks.flux.versions import resolved
from tasks.kube.pods import Pod
from tasks.subjects.grafana import left_out
from tasks.workspace import Network

_ONLINE = "invoke verify --online"
_GONE = (404, 410)
_ODD = "it is neither of Grafana's catalogue nor a release of parseablehq/parseable-datasource"


def images_exist(model: Model) -> Iterator[Outcome]:
    """The registry of each image has it."""
    pods, hidden = model.pods_and_gaps(*model.apps)
    yield from hidden
    ours = {pod.owner.key for pod in pods}
    users: dict[str, Pod] = {}
    for pod in (*pods, *model.other_pods()):
        for container in pod.containers():
            users.setdefault(str(container.get("image")), pod)
    if not users:
        yield passed("no pod is seen that would pull an image")
    if users and model.workspace.network is not Network.ONLINE:
        yield unknown(
            f"whether {', '.join(users)} can be pulled: no registry was asked", Cause.NETWORK, _ONLINE
        )
        return
    with ThreadPoolExecutor() as pool:
        for outcome, pod in pool.map(lambda pair: (_image(model, *pair), pair[1]), users.items()):
            yield outcome if pod.owner.key in ours else as_note(model, outcome)


def _image(model: Model, text: str, pod: Pod) -> Outcome:
    where = model.place_of(pod.owner)
    try:
        image = images.Image.parse(text)
    except ValueError as error:
        return failed(str(error), "the kubelet would refuse the name of the image", "correct it", where)
    try:
        is_there = model.workspace.web.has_image(image)
    except UnavailableError as error:
        return unknown(f"image {text}: {error.summary}", error.cause, error.hint, where)
    if is_there:
        return passed(f"{image} exists")
    return failed(
        f"{image.host} has no {image.repository} {image.reference}, which {pod.owner.key} runs",
        "the pod would wait in ImagePullBackOff",
        "name an image and a tag that exist",
        where,
    )


def plugin_exists(model: Model) -> Outcome:
    """The URL of Grafana's plugin answers; without a network, whether its form is a known one."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    grafana = resolved(model.settings).grafana
    url = next(iter(plugin_urls(model)), url_of(grafana))
    if model.workspace.network is not Network.ONLINE:
        odd = "" if is_published(grafana, url) else f", and {_ODD}"
        return unknown(f"whether {url} answers: it was not asked{odd}", Cause.NETWORK, _ONLINE)
    status = model.workspace.web.status_of(url)
    if status in _GONE:
        return failed(
            f"{url} answers HTTP {status}",
            "Grafana would not get the plugin, and as a rule not start",
            "set grafana.plugin_version to a release that exists, or grafana.plugin_url",
            model.place_in(model.grafana_file, url) if model.grafana_file else "",
        )
    if status < 400:
        return passed(f"{url} answers HTTP {status}")
    return unknown(f"{url} answers HTTP {status}", Cause.NETWORK, "try again later")
