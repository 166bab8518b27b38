"""A service of the cluster that is asked over HTTP, with a login that no message shows."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tasks.core.credentials import Secret
from tasks.core.errors import UnavailableError
from tasks.core.outcomes import Cause
from tasks.core.redaction import hide
from tasks.effects import http
from tasks.effects.http import Answer, Method

_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_LONGEST = 300  # characters of an answer that a message quotes


class ServiceError(UnavailableError):
    """A service of the cluster did not answer, or not as it should."""

    cause = Cause.CLUSTER


class LoginRefusedError(ServiceError):
    """The service does not take the login."""


@dataclass(frozen=True)
class Login:
    """A login, and where it was read (``origin``, for messages); its password is hidden in all messages."""

    username: Secret
    password: Secret
    origin: str
    header: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pair = f"{self.username.reveal()}:{self.password.reveal()}"
        token = base64.b64encode(pair.encode()).decode()
        object.__setattr__(self, "header", f"Basic {token}")
        for one in (self.password.reveal(), token):
            hide(one)


class Service:
    """Asks one service; ``name`` is what messages call it, ``address`` gives its URL as it is now.

    ``address`` is called before each request: a forwarded port may have to be opened again. An error in the
    place of ``login`` is why there is none; it is raised where a login is needed. ``login_hint`` says what to
    do if the login is refused.
    """

    def __init__(
        self,
        name: str,
        address: Callable[[], str],
        login: Login | UnavailableError | None = None,
        login_hint: str = "",
    ) -> None:
        self.name = name
        self.login = login
        self._login_hint = login_hint
        self._address = address

    def reach(self) -> None:
        """Have the way to it open.

        Raises:
            UnavailableError: there is none.
        """
        self._address()

    def ask(
        self,
        path: str,
        *,
        method: Method = "GET",
        data: object = None,
        with_login: bool = True,
        timeout: float = http.SECONDS,
    ) -> Answer:
        """The answer to a request, whatever its status; ``data`` is sent as JSON, ``timeout`` in seconds.

        Asked twice where there is no answer: what forwards a port ends with a connection that the pod cuts.

        Raises:
            ServiceError: there is no answer.
            UnavailableError: there is no way to it, or no login.
        """
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if with_login and isinstance(self.login, UnavailableError):
            raise self.login
        if with_login and isinstance(self.login, Login):
            headers["Authorization"] = self.login.header
        body = None if data is None else json.dumps(data).encode()
        for is_last in (False, True):
            url = self._address()
            try:
                return http.ask(
                    f"{url}{path}",
                    method=method,
                    headers=headers,
                    body=body,
                    timeout=timeout,
                    is_direct=True,
                )
            except http.NoAnswerError as error:
                if is_last:
                    told = error.summary.removeprefix(http.address(url).netloc).strip()
                    raise ServiceError(f"{self.name} {told}", f"see the log of {self.name}") from None
        raise AssertionError

    def read(
        self, path: str, *, method: Method = "GET", data: object = None, timeout: float = http.SECONDS
    ) -> Any:
        """What a request is answered with, as JSON.

        Raises:
            LoginRefusedError: the service does not take the login.
            ServiceError: there is no answer, another status than 200, or no JSON.
        """
        return self.parsed(self.ask(path, method=method, data=data, timeout=timeout), path)

    def parsed(self, answer: Answer, path: str) -> Any:
        """The JSON of ``answer``; see ``read``."""
        self.checked(answer, path)
        try:
            return json.loads(answer.body)
        except ValueError:
            is_cut = len(answer.body) >= http.BODY_BYTES
            told = "with more than can be read" if is_cut else "with something else than JSON"
            raise ServiceError(
                f"{self.name} answers {path} {told}", "see whether it is that service"
            ) from None

    def checked(self, answer: Answer, path: str) -> Answer:
        """``answer``, whose status is 200.

        Raises:
            LoginRefusedError: the service does not take the login.
            ServiceError: the status is another one.
        """
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            told = "no login was given"
            if isinstance(self.login, Login):
                told = f"the login of {self.login.origin} is not the one that it has"
            raise LoginRefusedError(
                f"{self.name} answers {answer.status} to {path}: {told}", self._login_hint
            )
        if answer.status != _OK:
            told = said(answer)
            raise ServiceError(f"{self.name} answers {answer.status} to {path}{told and f': {told}'}")
        return answer


def said(answer: Answer) -> str:
    """What an answer says, in one line of bounded length."""
    return " ".join(answer.body.decode(errors="replace").split())[:_LONGEST]
