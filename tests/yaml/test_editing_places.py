"""Where new entries go in lists as people keep them: in order, in sections, after what stands first."""

from textwrap import indent

import pytest

from tasks.yaml.editing import YamlValue, ensure

OURS: list[YamlValue] = ["./parseable/ks.yaml", "./vector/ks.yaml"]

CASES = {
    "after a namespace that stands first": """
          - ./namespace.yaml
          - ./gatus/ks.yaml
        + - ./parseable/ks.yaml
          - ./unpoller/ks.yaml
        + - ./vector/ks.yaml
        """,
    "in order of the parts of a path": """
          - ./namespace.yaml
          - ./ntfy/ks.yaml
          - ./ntfy-alerts/ks.yaml
        + - ./parseable/ks.yaml
          - ./promtail/ks.yaml
        + - ./vector/ks.yaml
        """,
    "not below the heading of other things": """
          # Applications
          - ./gatus/ks.yaml
          - ./ntfy/ks.yaml
          - ./ntfy-alerts/ks.yaml
        + - ./parseable/ks.yaml
        + - ./vector/ks.yaml

          # Exporters
          - ./exporters
        """,
    "in the section of their like": """
          # First
          - ./namespace.yaml
          # Kustomizations
          - ./gatus/ks.yaml
        + - ./parseable/ks.yaml
          - ./unpoller/ks.yaml
        + - ./vector/ks.yaml
        """,
    "where somebody added to the end": """
          - ./namespace.yaml
          - ./exporters/ks.yaml
          - ./gatus/ks.yaml
          - ./grafana/ks.yaml
          - ./kromgo/ks.yaml
        + - ./parseable/ks.yaml
          - ./unpoller/ks.yaml
        + - ./vector/ks.yaml
          - ./victoria-logs/ks.yaml
          - ./keda/ks.yaml
        """,
    "above all headings where there is no like": """
          - ./namespace.yaml
        + - ./parseable/ks.yaml
        + - ./vector/ks.yaml

          # Stack
          - ./kube-prometheus-stack
          - ./grafana

          # Exporters
          - ./blackbox-exporter
        """,
    "an entry that is turned off is no heading": """
          - ./gatus/ks.yaml
          # - ./loki/ks.yaml
        + - ./parseable/ks.yaml
          - ./unpoller/ks.yaml
        + - ./vector/ks.yaml
        """,
    "in no order at all": """
          - ./unpoller/ks.yaml
          - ./gatus/ks.yaml
          - ./zigbee/ks.yaml
          - ./alloy/ks.yaml
        + - ./parseable/ks.yaml
        + - ./vector/ks.yaml
        """,
}


@pytest.mark.parametrize("name", CASES)
def test_an_entry_goes_where_its_owner_would_put_it(name: str) -> None:
    lines = [line.removeprefix("        ") for line in CASES[name].strip("\n").rstrip(" ").splitlines()]
    before = "\n".join(line[2:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[2:] for line in lines)
    head = "kind: Kustomization\nresources:\n"
    text = head + indent(before, "  ") + "\n"
    assert ensure(text, ("resources",), OURS, name="k.yaml") == head + indent(after, "  ") + "\n"
