"""Whatever stands under a name that sounds secret, in whatever style: no diff shows it."""

import json
import random
import re
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.yaml.diff import unified_diff
from tasks.yaml.editing.nodes import parse
from tasks.yaml.masking import masked

NAMES = [
    "password", "adminPassword", "GF_SMTP_PASSWORD", "passwd", "passphrase", "db-pwd", "DB_PASS",
    "secret", "client_secret", "clientSecret", "token", "apiToken", "bot_token", "api_key", "apiKey",
    "X-Api-Key", "private_key", "ssh-privatekey", "accessKeyId", "SECRET_ACCESS_KEY", "credentials",
    "credential", "tls.key", "server.key", "signing_key", "encryption-key", "age_key",
    "Authorization", "auth", "webhook_url", "webhookURL", "Cookie", "session_cookie", "htpasswd",
    "salt", "secret_salt", "dsn", "SENTRY_DSN", "connectionString", "dockerconfigjson",
    ".dockerconfigjson", "license_key", "pre-shared-key", "psk", "jwt", "secureJsonData",
]  # fmt: skip
# Beside them, and never hidden.
TWINS = [
    "secretName: shown-1", "port: 8001", "existingSecret: shown-2", "secretRef: shown-3",
    "replicas: 31", "passwordFile: /etc/shown-4", "secretKeyRef: {name: shown-5, key: shown-6}",
    "topologyKey: shown-7", "image: ghcr.io/shown/shown-8:v1.2.3@sha256:0123456789abcdef",
    "password: $SHOWN_9", "token: ${SHOWN_10}", "url: https://host.test:8443/shown-11",
    "bypass: shown-12", "automountServiceAccountToken: true", "secret: {secretName: shown-13}",
    "imagePullSecrets: [{name: shown-14}]", "tolerations: [{key: shown-15}]",
    "env: [{name: LEVEL, value: shown-16}]", "args: [--level=shown-17, --port, '8002']",
    "publicKey: shown-18", "basicAuth: true", "url2: ssh://git@host.test/shown-19",
    "note: 'a token is needed, shown-20'", "password: {name: shown-21, key: password}",
]  # fmt: skip
# Parts of values: awkward, and with letters that need quoting. Each is joined to what marks it.
AWKWARD = [
    "",
    "x",
    " y",
    ": z",
    " #w",
    "'q",
    '"d',
    "\\b",
    "{f",
    "}",
    "[s",
    ",",
    "&a",
    "*a",
    "!t",
    "%p",
    "@h",
    "é🙂",
    "|",
    ">",
    "-",
]
MARK = "hunter2"


@st.composite
def values(draw: st.DrawFn) -> str:
    """A secret of one line; each of its words is a mark by itself."""
    parts = draw(st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=3))
    return draw(st.sampled_from(["", "A1"])) + "".join(f"{MARK}{part}" for part in parts) + MARK


Writer = Callable[[str, str, random.Random], list[str]]


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def escaped(value: str) -> str:
    """A double-quoted scalar with its signs as escape sequences."""
    return '"' + "".join(sign if sign.isalnum() else f"\\U{ord(sign):08x}" for sign in value) + '"'


def single(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def plain(value: str) -> str:
    """As a plain scalar where that reads back the same, else quoted."""
    try:
        if yaml.safe_load(f"- {value}") == [value] and yaml.safe_load(f"[{value}]") == [value]:
            return value
    except yaml.YAMLError:
        pass
    return single(value)


SCALARS = [plain, quoted, escaped, single]


def some(value: str, choice: random.Random) -> str:
    return choice.choice(SCALARS)(value)


def key(name: str, choice: random.Random) -> str:
    return choice.choice([name, json.dumps(name), f"'{name}'"])


WRITERS: dict[str, Writer] = {
    "scalar": lambda n, v, c: [f"{key(n, c)}: {some(v, c)}"],
    "comment": lambda n, v, c: [f"{key(n, c)}: {some(v, c)}  # once {v}"],
    "commented out": lambda n, v, c: [f"# {n}: {v}", "harmless: 1"],
    "block commented out": lambda n, v, c: [f"# {n}: |", f"#   {v}", f"#   {v}", "harmless: 1"],
    "comment between": lambda n, v, c: [f"{n}:", f"  # {v}", f"  {some(v, c)}"],
    "next line": lambda n, v, c: [f"{n}:", f"    {some(v, c)}"],
    "literal": lambda n, v, c: [f"{n}: |{c.choice(['', '-', '+', '2'])}", f"  {v}", "", f"  a {v}"],
    "folded": lambda n, v, c: [
        f"{n}: >{c.choice(['', '-', '+'])}  # {v}",
        f"  {v}",
        f"  {v}",
        "",
        f"    {v}",
    ],
    "plain lines": lambda n, v, c: [f"{n}: {MARK}", f"  {MARK}", "", f"  and {MARK}"],
    "quoted lines": lambda n, v, c: [f"{n}: {single(v)[:-1]}", "", f"  {single(v)[1:]}"],
    "escaped lines": lambda n, v, c: [f"{n}: {quoted(v)[:-1]}\\", f"  {quoted(v)[1:]}"],
    "flow": lambda n, v, c: [f"f: {{a: 1, {key(n, c)}: {some(v, c)}, b: [x]}}"],
    "flow lines": lambda n, v, c: ["f: {", "  a: 1,", f"  {key(n, c)}:", f"    {some(v, c)},", "  b: 2 }"],
    "json": lambda n, v, c: [json.dumps({"a": 1, n: v, "b": {n: [v]}})[1:-1].join(("f: {", "}"))],
    "list": lambda n, v, c: [f"{n}:", f"  - {some(v, c)}", "  # and", f"  - {some(v, c)}"],
    "flow list": lambda n, v, c: [f"{n}: [{some(v, c)}, {some(v, c)}]"],
    "list of maps": lambda n, v, c: [
        "l:",
        f"  - {n}: {some(v, c)}",
        "    a: 1",
        "  - a: 1",
        f"    {n}: {some(v, c)}",
    ],
    "pair": lambda n, v, c: ["env:", f"  - name: {n}", f"    value: {some(v, c)}"],
    "pair turned": lambda n, v, c: ["env:", f"  - value: {some(v, c)}", f"    name: {n}"],
    "pair literal": lambda n, v, c: ["env:", f"  - key: {n}", "    value: |", f"      {v}"],
    "flow pair": lambda n, v, c: [f"env: [{{name: {n}, value: {some(v, c)}}}]"],
    "header": lambda n, v, c: [f"headers: [{{header: {n}, value: {some(v, c)}}}]"],
    "anchor": lambda n, v, c: [f"{n}: &x {some(v, c)}", "other: *x"],
    "alias": lambda n, v, c: [f"other: &x {some(v, c)}", f"{n}: *x"],
    "alias of literal": lambda n, v, c: ["other: &x |", f"  {v}", f"{n}: *x"],
    "tag": lambda n, v, c: [f"{n}: !!str {some(v, c)}"],
    "tag and anchor": lambda n, v, c: [f"{n}: !own &x", f"  {some(v, c)}"],
    "merged pair": lambda n, v, c: ["x: &x", f"  value: {some(v, c)}", "y:", "  <<: *x", f"  name: {n}"],
    "flags": lambda n, v, c: ["args:", "  - --some-password", f"  - {some(v, c)}"],
    "flag": lambda n, v, c: [f"args: [{quoted('--api-key=' + v)}]"],
    "secret": lambda n, v, c: [
        "o:",
        "  kind: Secret",
        "  stringData:",
        f"    # {v}",
        f"    a: {some(v, c)}",
        "    secretName: |",
        f"      {v}",
    ],
    "secret data": lambda n, v, c: ["o: {data: {username: " + some(v, c) + "}, kind: Secret}"],
    "merged data": lambda n, v, c: [
        "x: &x",
        f"  data: {{a: {some(v, c)}}}",
        "o:",
        "  <<: *x",
        "  kind: Secret",
    ],
    "embedded yaml": lambda n, v, c: [
        "data:",
        "  vector.yaml: |",
        "    a: 1",
        f"    {n}: {some(v, c)}",
        "    b: 2",
    ],
    "embedded twice": lambda n, v, c: [
        "data:",
        "  a: |",
        "    b: |",
        "      c:",
        f"        {n}: |",
        f"          {v}",
        "        d: 1",
    ],
    "embedded json": lambda n, v, c: [
        "data:",
        "  a.json: |-",
        *(f"    {line}" for line in json.dumps({"a": 1, n: v}, indent=2).splitlines()),
    ],
    "quoted json": lambda n, v, c: [f"a: {c.choice([quoted, single])(json.dumps({'a': 1, n: v}))}"],
    "embedded ini": lambda n, v, c: ["a: |", "  [database]", f"  {n} = {v}", "  user = me"],
    "embedded toml": lambda n, v, c: ["a: |", "  [x]", f'  {n} = """', f"  {v}", '  """', "  port = 1"],
    "embedded shell": lambda n, v, c: ["a: |", "  #!/bin/sh", f"  export DB_PASSWORD={v}", "  run --level=1"],
    "folded ini": lambda n, v, c: ["a: >", "  [database]", f"  {n} = {v}"],
    "url": lambda n, v, c: [f"a: {quoted('postgres://me:' + re.sub(r'[^A-Za-z0-9]', '', v) + '@host/db')}"],
    "bearer": lambda n, v, c: [
        f"a: [{quoted('Bearer ' + MARK + '.x-Y_z')}, 'Authorization: Basic {MARK}==']"
    ],
    "dsn": lambda n, v, c: [f"a: {quoted(f'Server=h;Password={MARK} {MARK};Port=1')}"],
    "pem": lambda n, v, c: [
        "a: |",
        "  -----BEGIN ENCRYPTED PRIVATE KEY-----",
        f"  {MARK}",
        "  -----END ENCRYPTED PRIVATE KEY-----",
    ],
    "age": lambda n, v, c: [f"a: AGE-SECRET-KEY-1{MARK.upper()}", f"# AGE-SECRET-KEY-1{MARK.upper()}"],
    "patch": lambda n, v, c: [
        "a: |",
        "  - op: add",
        f"    path: /spec/values/{n}",
        f"    value: {some(v, c)}",
    ],
    "directive": lambda n, v, c: ["a: |", "  <source>", f"    {n} {MARK}", "  </source>"],
    "netrc": lambda n, v, c: ["a: |", f"  machine host login me password {MARK}", "  # end"],
    "element": lambda n, v, c: ["a: |", "  <x>", f"    <password>{MARK}</password>", "  </x>"],
    "curl": lambda n, v, c: [f"a: curl -u me:{MARK} https://host.test"],
    "set": lambda n, v, c: ["tokens: {" + some(v, c) + ", other}"],
    "below": lambda n, v, c: ["credentials:", f"  a: {some(v, c)}", "  b:", f"    - c: {{d: {some(v, c)}}}"],
    "again": lambda n, v, c: [f"{n}: A1{MARK}", f"# A1{MARK} and A1{MARK}", f"harmless: A1{MARK}"],
}


def document(writer: str, name: str, value: str, choice: random.Random) -> tuple[str, list[str]]:
    """A text with the value in it, beside, around and below harmless lines, and those lines."""
    twins = choice.sample(TWINS, 3)
    lines = WRITERS[writer](name, value, choice)
    depth = choice.randrange(3)
    for _ in range(depth):
        lines = ["values:", *(f"  {line}" if line else line for line in lines)]
    text = [twins[0], twins[1].replace(":", "2:", 1), *lines, "zzz:", f"  {twins[2]}"]
    shown = [twins[0], twins[1].replace(":", "2:", 1), f"  {twins[2]}"]
    return choice.choice(["\n", "\n", "\r\n"]).join([*text, ""]), shown


cases = given(
    writer=st.sampled_from(sorted(WRITERS)),
    name=st.sampled_from(NAMES),
    value=values(),
    choice=st.randoms(use_true_random=False),
)


def is_yaml(text: str) -> bool:
    try:
        parse(text)
    except (yaml.YAMLError, ValueError):
        return False
    return True


def leaked(shown: str) -> bool:
    return MARK in shown.lower()


@settings(max_examples=500, deadline=None)
@cases
def test_no_secret_is_shown_and_the_rest_is(
    writer: str, name: str, value: str, choice: random.Random
) -> None:
    text, twins = document(writer, name, value, choice)
    shown = masked(text)
    assert not leaked(shown), shown
    assert len(shown.splitlines()) == len(text.splitlines())
    if is_yaml(text):
        assert [twin for twin in twins if twin not in shown.splitlines()] == [], shown


@settings(max_examples=250, deadline=None)
@cases
def test_no_diff_shows_a_secret(writer: str, name: str, value: str, choice: random.Random) -> None:
    before, _ = document(writer, name, value, choice)
    kind = choice.randrange(4)
    if kind == 0:
        after = document(choice.choice(sorted(WRITERS)), choice.choice(NAMES), value, choice)[0]
    elif kind == 1:
        after = before.replace(MARK, f"{MARK}{MARK}")
    elif kind == 2:
        after = "".join(line for line in before.splitlines(keepends=True) if choice.random() < 0.8)
    else:
        after = before + "more: 1\n"
    for one, other in ((before, after), (after, before), (None, after)):
        shown = unified_diff("a.yaml", one, other)
        # A line that was taken out may have been the one that made the others secret.
        if kind != 2:
            assert not leaked(shown), shown
    if kind == 3:
        assert "+more: 1" in unified_diff("a.yaml", before, after).splitlines()


@settings(max_examples=250, deadline=None)
@given(
    writer=st.sampled_from(
        sorted(
            set(WRITERS) - {"flow lines", "set", "again", "embedded twice", "comment between", "pair turned"}
        )
    ),
    name=st.sampled_from(NAMES),
    value=values(),
    choice=st.randoms(use_true_random=False),
    breakage=st.sampled_from(
        [
            "<<<<<<< HEAD\n{}=======\n{}>>>>>>> other\n",
            "{}a: [\n",
            "\t- {{\n{}",
            "{{{{ if .x }}}}\n{}{{{{ end }}}}\n",
        ]
    ),
)
def test_what_is_not_yaml_hides_more(
    writer: str, name: str, value: str, choice: random.Random, breakage: str
) -> None:
    text, _ = document(writer, name, value, choice)
    broken = breakage.format(text, text)
    shown = masked(broken)
    assert not leaked(shown), shown
    assert len(shown.splitlines()) == len(broken.splitlines())


@settings(max_examples=500, deadline=None)
@given(
    st.text(st.sampled_from("ab:'\"|>-#&*!{}[], \n\r\t\u2028\x85\x0c\x1c=@/password")), st.text(max_size=40)
)
def test_any_text_keeps_its_lines(one: str, other: str) -> None:
    for text in (one, other, one + other):
        assert len(masked(text).splitlines()) == len(text.splitlines())
    unified_diff("a", one, other)


@pytest.mark.parametrize("twin", TWINS)
def test_the_harmless_twin_is_shown(twin: str) -> None:
    assert masked(f"{twin}\n") == f"{twin}\n"
