"""From an unknown repository to a plan: `init`, and what it refuses."""

from tests.playground import Playground
from tests.whole.test_views import on_terminal

FILE = ".parseable-playbook.yaml"


def test_plan_works_at_once_with_what_init_wrote(play: Playground) -> None:
    nothing = {"INVOKE_S3_ENDPOINT": None, "INVOKE_S3_BUCKET": None}
    refused = play.on_repository("init", "--json", **nothing)
    assert refused.code == 2
    assert "s3.endpoint is not known" in refused.data["error"]["message"]
    assert not (play.root / FILE).exists()
    given = (f"--set=s3.endpoint={play.endpoint}", f"--set=s3.bucket={play.bucket}")
    made = play.on_repository("init", "--json", *given, **nothing)
    assert made.code == 0, made.err
    assert made.data["missing"] == []
    found = {item["setting"]: item for item in made.data["findings"]}
    assert found["flux.source"]["value"] == "home-kubernetes"
    assert found["flux.source"]["why"] == "5 of 5 Kustomizations name it"
    plan = play.on_repository("plan", **nothing)
    assert plan.code == 5, plan.err
    assert f"create bucket '{play.bucket}' at {play.endpoint}" in plan.out
    again = play.on_repository("init", *given, **nothing)
    assert again.code == 2
    assert f"there is a {FILE} already" in again.err
    # Also one that cannot be read is overwritten.
    play.write(FILE, "s3: {\n")
    forced = play.on_repository("init", "--force", *given, **nothing)
    assert forced.code == 0, forced.err
    assert play.on_repository("plan", **nothing).code == 5


def test_what_is_not_found_is_asked_for(play: Playground) -> None:
    nothing: dict[str, str | None] = {"INVOKE_S3_ENDPOINT": None, "INVOKE_S3_BUCKET": None}
    answers = {"s3.endpoint (Enter leaves it open): ": play.endpoint}
    code, shown = on_terminal(play, "init", answers=answers, **nothing)
    assert code == 0, shown
    assert shown.count("Enter leaves it open") == 1
    assert f"endpoint: {play.endpoint}" in play.read(FILE)
    before = play.read(FILE)
    code, shown = on_terminal(play, "init", answers={"overwrite": "n"}, **nothing)
    assert code == 2
    assert play.read(FILE) == before
