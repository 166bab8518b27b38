"""Which Vector replaces the variables in its configuration."""

from typing import Any

import pytest

from checks.interpolation import TELLING, leaves_variables

FLAG = "--dangerously-allow-env-var-interpolation"


@pytest.mark.parametrize(
    ("image", "more", "expected"),
    [
        ("timberio/vector:0.56.0-distroless-libc", {}, False),
        ("timberio/vector:0.57.0-distroless-libc", {}, True),
        ("docker.io/timberio/vector:v1.0", {}, True),
        ("registry.example.com:5000/timberio/vector:0.100.2@sha256:00", {}, True),
        # Nothing tells the version.
        ("registry.example.com:5000/timberio/vector", {}, False),
        ("timberio/vector@sha256:0123", {}, False),
        ("timberio/vector:nightly", {}, False),
        ("timberio/vector:0.57.0", {"env": [{"name": TELLING, "value": "true"}]}, False),
        ("timberio/vector:0.57.0", {"env": [{"name": TELLING, "value": "false"}]}, True),
        ("timberio/vector:0.57.0", {"args": ["--config-dir", "/etc/vector/", FLAG]}, False),
        ("timberio/vector:0.57.0", {"command": ["vector", f"{FLAG}=true"]}, False),
        ("timberio/vector:0.57.0", {"envFrom": [{"secretRef": {"name": "more"}}]}, False),
    ],
)
def test_variables_that_stay_as_they_are(image: str, more: dict[str, Any], expected: bool) -> None:
    assert leaves_variables({"image": image, **more}) is expected
