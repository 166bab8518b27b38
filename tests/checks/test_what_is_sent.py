"""What a remap program lets through, read without running it; and figures that checks compute."""

import pytest

from checks.columns import metadata, remapped
from checks.delivery import seconds_tried
from tasks.kube.quantities import amount

MAPS = ["pod_labels", "pod_annotations", "namespace_labels", "node_labels"]
GONE = "del(.kubernetes)\n"


@pytest.mark.parametrize(
    ("program", "sent"),
    [
        ("", [f"kubernetes.{name}" for name in ("pod_ips", *MAPS)]),
        ("# del(.kubernetes)", [f"kubernetes.{name}" for name in ("pod_ips", *MAPS)]),
        (GONE, []),
        ("del(.kubernetes.pod_ips)", [f"kubernetes.{name}" for name in MAPS]),
        (".k8s = del(.kubernetes)", [f"k8s.{name}" for name in ("pod_ips", *MAPS)]),
        (f".k = .kubernetes\n{GONE}del(.k.pod_ips)", [f"k.{name}" for name in MAPS]),
        (f".labels = .kubernetes.pod_labels\n{GONE}", ["labels"]),
        (f".labels = encode_json(.kubernetes.pod_labels)\n{GONE}", []),
        (f".app = .kubernetes.pod_labels.app\n{GONE}", []),
        (f'.app = .kubernetes.pod_labels."app.kubernetes.io/name"\n{GONE}', []),
        (f".address = .kubernetes.pod_ips[0]\n{GONE}", []),
        (f"pod = .kubernetes\n{GONE}.labels = pod.pod_labels\n.name = pod.pod_name", ["labels"]),
        ('. = {\n  "message": .message,\n  "labels": encode_json(.kubernetes.pod_labels)\n}', []),
        ('. = {\n  "message": .message,\n  "all": {"labels": .kubernetes.pod_labels}\n}', ["*"]),
        (". = compact(.)", [f"kubernetes.{name}" for name in ("pod_ips", *MAPS)]),
        (f"{GONE}. = merge(., object!(parse_json!(.message)))", ["*"]),
        (f"{GONE}. |= object!(parse_json!(.message))", ["*"]),
        (f"{GONE}parsed, err = parse_json(.message)\nif err == null {{ .app = parsed }}", ["app.*"]),
        (f"{GONE}parsed = parse_json(.message) ?? {{}}\n.level = to_string(parsed.level) ?? null", []),
        (f'{GONE}.tags = ["a"]', ["tags"]),
        (f'{GONE}.parts = split!(.message, " ")', ["parts"]),
        (f'{GONE}.part = split!(.message, " ")[0]', []),
    ],
)
def test_what_a_program_lets_through(program: str, sent: list[str]) -> None:
    assert list(remapped(metadata({}), program)) == sent


def test_what_the_source_is_told_to_leave_out_or_to_put_elsewhere() -> None:
    source = {"pod_annotation_fields": {"pod_ips": "", "pod_labels": ".labels"}}
    assert list(metadata(source)) == ["labels", *(f"kubernetes.{name}" for name in MAPS[1:])]


@pytest.mark.parametrize(
    ("attempts", "longest", "seconds"),
    [(-1, 30, 0), (0, 30, 0), (1, 30, 1), (3, 30, 4), (5, 30, 12), (5, 2, 8)],
)
def test_how_long_a_batch_is_tried(attempts: int, longest: int, seconds: int) -> None:
    assert seconds_tried(attempts, longest) == seconds


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("2Gi", 2 * 1024**3), ("1.5G", 1.5e9), ("500m", 0.5), ("128974848", 128974848), (64, 64), (True, None)]
    + [(text, None) for text in ("", "Gi", "2 Gi", "2gib", "-1")],
)
def test_quantities(quantity: object, number: float | None) -> None:
    assert amount(quantity) == number
