"""Single texts with secrets that a property does not reach."""

import pytest

from tasks.yaml.masking import masked


@pytest.mark.parametrize(
    "text",
    [
        "? password\n: hunter2\n",
        "%YAML 1.1\n---\npassword: hunter2\n...\n# password: hunter2\n---\ntoken: hunter2\n",
        "\ufeffpassword: hunter2\n",
        "password: |2\n    hunter2\n  hunter2",
        "password: hunter2\r\n\r\n# password: hunter2\rtoken: hunter2\r",
        "b: &a {x: hunter2}\ncredentials: {<<: *a}\n",
        "b: &n DB_PASSWORD\nenv: [{name: *n, value: hunter2}]\n",
        "env:\n- name: &n DB_PASSWORD\n  value: &v hunter2\n- name: X\n  value: *v\n",
        "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  data:\n    secretName: hunter2\n",
        "set:\n- name: auth.password\n  value: hunter2\n",
        'patch: \'[{"op": "add", "path": "/data/token", "value": "hunter2"}]\'\n',
        "x: amqp://u:hunter2@h1,amqp://u:hunter2@h2\n",
        "x: redis://:hunter2@h/0\n",
        "cmd: [sh, -c, 'PGPASSWORD=hunter2 psql']\n",
        'conf: |\n  proxy_set_header Authorization "Basic aHVudGVyMg==hunter2";\n',
        "conf: |\n  requirepass hunter2\n",
        "users: |\n  admin:$apr1$abc$hunter2\n",
        "basic_auth_users: {admin: $2y$10$hunter2hunter2}\n",
        "wireguard: |\n  [Interface]\n  PrivateKey = hunter2\n  [Peer]\n  PresharedKey = hunter2\n",
        'a: >\n  {"password": "hunter2",\n   "b": 1}\n',
        'a: "line\\npassword: hunter2\\n"\n',
        "secretName: 'hunter2 x y'\n",
        "password: ${X:-hunter2}\n",
        "webhook_configs: [{url: 'https://x/hunter2'}]\n",
        "secret:\n  # hunter2\n\n  # hunter2\n  a: 1\n",
    ],
)
def test_secrets(text: str) -> None:
    assert "hunter2" not in masked(text)
    assert len(masked(text).splitlines()) == len(text.splitlines())


def test_what_is_shown_is_where_it_was() -> None:
    text = "a: 1\npassword: |-\n  hunter2\n\n    hunter2\nf: {b: 2, token: 'x', c: [3]}  # c\nd: 4\n"
    assert masked(text) == (
        "a: 1\npassword: |-\n  (not shown)\n\n    (not shown)\n"
        "f: {b: 2, token: (not shown), c: [3]}  # (not shown)\nd: 4\n"
    )


def test_what_is_encrypted_is_shown() -> None:
    text = "kind: Secret\nstringData:\n  a: ENC[AES256_GCM,data:x=,iv:y=,tag:z=,type:str]\n"
    assert masked(text) == text


def test_a_text_that_is_not_yaml() -> None:
    text = (
        "<<<<<<< HEAD\na: 1\nadminPassword: |\n  hunter2\n=======\n  hunter2\n>>>>>>> other\nb: 2\n"
        "kind: Secret\ndata:\n  x: hunter2\nc: {d: 3, token: hunter2}\nport: 8000\n"
    )
    assert masked(text) == (
        "<<<<<<< HEAD\na: 1\nadminPassword: (not shown)\n  (not shown)\n=======\n  (not shown)\n"
        ">>>>>>> other\nb: 2\nkind: Secret\ndata:\n  (not shown)\nc: {d: 3, token: (not shown)\nport: 8000\n"
    )


@pytest.mark.parametrize(
    "word", ["a" * 200_000, "a+" * 50_000, "a: " * 30_000, "'" * 50_000, "://a:b@" * 9_000]
)
def test_long_lines_take_no_time(word: str) -> None:
    # Patterns that try again at each sign would take minutes.
    assert masked(f"x: [\n{word}\n\t")
