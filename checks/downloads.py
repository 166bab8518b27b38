"""Downloads: whether the images of the pods and Grafana's plugin are where the cluster will fetch them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from checks.model import Cause, Model, Outcome, as_note, failed, passed, unknown
from tasks.core.errors import UnavailableError
from tasks.effects import images
from tasks.kube.pods import Pod
from tasks.workspace import Network

_ONLINE = "invoke verify --online"
_GONE = (404, 410)


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
    """The URL of Grafana's plugin answers."""
    url = model.settings.grafana.plugin_url
    if model.workspace.network is not Network.ONLINE:
        return unknown(f"whether {url} answers: it was not asked", Cause.NETWORK, _ONLINE)
    status = model.workspace.web.status_of(url)
    if status in _GONE:
        return failed(
            f"{url} answers HTTP {status}",
            "Grafana would not get the plugin, and as a rule not start",
            "set grafana.plugin_url to a release that exists",
            model.place_in(model.grafana_file, url) if model.grafana_file else "",
        )
    if status < 400:
        return passed(f"{url} answers HTTP {status}")
    return unknown(f"{url} answers HTTP {status}", Cause.NETWORK, "try again later")
