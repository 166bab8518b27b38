"""Downloads: whether the images of the pods and Grafana's plugin are where the cluster will fetch them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from checks.links.grafana import url_place
from checks.links.inventory import inventory, place_of
from checks.links.releases import grafana_file
from checks.links.workloads import Pod, pods
from checks.model import Outcome, failed, noted, passed, unknown
from tasks.core.errors import RefusedError
from tasks.effects import http, images
from tasks.subjects.manifests import own_files
from tasks.workspace import Network, Workspace

_ONLINE = "invoke verify --online"
_GONE = (404, 410)


def images_exist(workspace: Workspace) -> Iterator[Outcome]:
    """The registry of each image has it."""
    found, ours = inventory(workspace), own_files(workspace)
    users: dict[str, Pod] = {}
    for pod in pods(found, *ours, grafana_file(workspace)):
        for container in pod.containers():
            users.setdefault(str(container.get("image")), pod)
    if users and workspace.network is not Network.ONLINE:
        yield unknown(f"whether {', '.join(users)} can be pulled: no registry was asked", _ONLINE)
        return
    with ThreadPoolExecutor() as pool:
        for outcome, pod in pool.map(lambda pair: (_image(workspace, *pair), pair[1]), users.items()):
            yield outcome if pod.owner.path in ours else noted(workspace, outcome)


def _image(workspace: Workspace, text: str, pod: Pod) -> Outcome:
    where = place_of(workspace, pod.owner)
    try:
        image = images.Image.parse(text)
        is_there = workspace.ask_once(f"image {image}", lambda: images.exists(image))
    except ValueError as error:
        return failed(str(error), "the kubelet would refuse the name of the image", "correct it", where)
    except RefusedError as error:
        return unknown(f"image {text}: {error.summary}", error.hint, where)
    if is_there:
        return passed(f"{image} exists")
    return failed(
        f"{image.host} has no {image.repository} {image.reference}, which {pod.owner.key} runs",
        "the pod would wait in ImagePullBackOff",
        "name an image and a tag that exist",
        where,
    )


def plugin_exists(workspace: Workspace) -> Iterator[Outcome]:
    """The URL of Grafana's plugin answers."""
    url = workspace.settings.grafana.plugin_url
    if workspace.network is not Network.ONLINE:
        yield unknown(f"whether {url} answers: it was not asked", _ONLINE)
        return
    status = workspace.ask_once(f"url {url}", lambda: http.ask(url).status)
    if status in _GONE:
        yield failed(
            f"{url} answers HTTP {status}",
            "Grafana would not get the plugin, and as a rule not start",
            "set grafana.plugin_url to a release that exists",
            url_place(workspace, url),
        )
    elif status < 400:
        yield passed(f"{url} answers HTTP {status}")
    else:
        yield unknown(f"{url} answers HTTP {status}", "try again later")
