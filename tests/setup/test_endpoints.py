"""Which S3 servers a repository names, however it names them."""

import pytest

from tasks.setup.endpoints import Endpoint, endpoints

HERE = "https://s3.example.com"


@pytest.mark.parametrize(
    "text",
    [
        f"s3:\n  endpoint: {HERE}\n  bucket: a\n",
        f"destinationPath: s3://a\nendpointURL: '{HERE}/'\n",
        f'bucket: a\nconfig:\n  s3Url: "{HERE}"\n',
        f"env:\n  - name: S3_ENDPOINT\n    value: {HERE}\n",
        f"S3_ENDPOINT_URL: {HERE} # the NAS\n",
    ],
)
def test_it_is_found(text: str) -> None:
    assert [item.url for item in endpoints({"a.yaml": text})] == [HERE]


@pytest.mark.parametrize(
    "text",
    [
        "endpoint: https://vault.example.com\n",
        f"# endpoint: {HERE}\nbucket: a\n",
        f"bucket: a\nurl: {HERE}\n",
        "bucket: a\nendpoint: s3.example.com\n",
        f"bucket: a\n{'x: 1' * 3}\n" + "y: 1\n" * 20 + "endpoint: https://a.example.com\n",
        f"env:\n  - name: OTHER\n    value: {HERE}\n  - name: BUCKET\n",
    ],
)
def test_what_is_none_is_let_be(text: str) -> None:
    assert endpoints({"a.yaml": text}) == []


def test_the_most_used_comes_first_with_its_region() -> None:
    texts = {
        "a.yaml": "bucket: a\nendpoint: https://a.example.com\n",
        "b.yaml": f"bucket: a\nendpoint: {HERE}\nregion: eu-west-1\n",
        "c.yaml": f"bucket: a\nendpoint: {HERE}\n",
    }
    assert endpoints(texts) == [
        Endpoint(HERE, 2, "b.yaml", "eu-west-1", ""),
        Endpoint("https://a.example.com", 1, "a.yaml", "", ""),
    ]


@pytest.mark.parametrize(
    ("url", "why_not"),
    [
        ("http://minio.storage.svc.cluster.local:9000", "only pods can reach it"),
        ("http://minio:9000", "only pods can reach it"),
        ("http://minio.storage.svc", "only pods can reach it"),
        ("https://s3.${SECRET_DOMAIN}", "a variable is in it"),
        ("https://me:hunter2hunter2@s3.example.com", "a login is in it"),
        ("https://[s3.example.com", "it is no URL"),
        ("http://192.0.2.1:9000", ""),
    ],
)
def test_what_keeps_it_from_being_used(url: str, why_not: str) -> None:
    [found] = endpoints({"a.yaml": f"bucket: a\nendpoint: {url}\n"})
    assert found.why_not.startswith(why_not)
    assert bool(found.why_not) is bool(why_not)
