"""Secrets in memory: wrapped so that no representation, message or traceback shows them."""

from dataclasses import dataclass
from typing import Final

from tasks.core.errors import SettingsError

# The names of the S3 key pair: as variables of the environment, and as keys of Parseable's Secret.
ACCESS_KEY: Final = "S3_ACCESS_KEY_ID"
SECRET_KEY: Final = "S3_SECRET_ACCESS_KEY"  # noqa: S105 (a name)


class Secret:
    """A secret text. Equal to another by value; printed as stars; ``reveal`` is the only way to the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plaintext, for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class S3Credentials:
    """The key pair that Parseable uses, and where it was found (``origin``, for messages)."""

    access_key: Secret
    secret_key: Secret
    origin: str


def checked(access_key: str, secret_key: str, origin: str) -> S3Credentials:
    """Build credentials from texts as they were found.

    Raises:
        SettingsError: one of them is empty or has white space around or in it (a pasted line end, mostly).
    """
    for label, value in (("access key", access_key), ("secret key", secret_key)):
        if not value.strip():
            raise SettingsError(f"the S3 {label} from {origin} is empty")
        if value != value.strip() or any(letter.isspace() for letter in value):
            raise SettingsError(
                f"the S3 {label} from {origin} has spaces or line ends around or in it",
                "remove them; the value itself is not shown here",
            )
    return S3Credentials(Secret(access_key), Secret(secret_key), origin)
