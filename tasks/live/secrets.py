"""What of a Secret is looked at: its keys, and whether they hold what was encrypted. No value is kept."""

import base64
import binascii
from collections.abc import Iterable

from tasks.live.judgement import Judgement, State
from tasks.live.objects import Key, Object, Objects
from tasks.yaml.documents import mapping

# How sops begins an encrypted value (https://getsops.io/docs/#encryption-protocol).
_CIPHERTEXT = b"ENC[AES256_GCM,"
FULL, EMPTY, ENCRYPTED = "full", "empty", "encrypted"


def reduced(secret: Object) -> Object:
    """A Secret with a word in place of each value: "full", "empty" or "encrypted"."""
    data = {str(key): _word(str(value)) for key, value in mapping(secret, "data").items()}
    about = {
        key: value
        for key, value in mapping(secret, "metadata").items()
        # Whoever applies it with kubectl leaves the values there.
        if key in ("name", "namespace", "labels", "managedFields", "creationTimestamp")
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data}


def _word(value: str) -> str:
    try:
        plain = base64.b64decode(value)
    except (binascii.Error, ValueError):
        return FULL
    return ENCRYPTED if plain.startswith(_CIPHERTEXT) else FULL if plain else EMPTY


def judge_secret(objects: Objects, key: Key, wanted: Iterable[str]) -> Judgement:
    """Whether a Secret of the cluster has the keys, each with a value that somebody has decrypted."""
    about = f"Secret {key[0]}/{key[1]}"
    secret = objects.find("Secret", *key)
    if secret is None:
        hidden = objects.hidden.get(("Secret", f"{key[0]}/{key[1]}"))
        if hidden is not None:
            return Judgement(State.UNKNOWN, about, hidden.summary, hidden.hint)
        return Judgement(State.FAIL, about, "does not exist", "invoke task-004, and push")
    found = mapping(secret, "data")
    encrypted = sorted(one for one, word in found.items() if word == ENCRYPTED)
    if encrypted:
        return Judgement(
            State.FAIL,
            about,
            f"holds ciphertext under {', '.join(encrypted)}: Flux applied it without decrypting it",
            "set spec.decryption in the Kustomization that applies it, and push",
        )
    lacking = [one for one in wanted if one not in found]
    empty = [one for one in wanted if found.get(one) == EMPTY]
    problems = [f"lacks {', '.join(lacking)}"] if lacking else []
    problems += [f"has nothing under {', '.join(empty)}"] if empty else []
    if problems:
        return Judgement(State.FAIL, about, " and ".join(problems), "invoke task-004, and push")
    return Judgement(State.PASS, about, f"has {', '.join(wanted)}, decrypted")
