"""The doors of one run, opened when first used: repository, git, sops, bucket."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from tasks.core.errors import PlaybookError, SettingsError
from tasks.core.settings import FILE
from tasks.flux.layout import Layout, discover
from tasks.flux.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.core.changes import Change
    from tasks.core.credentials import S3Credentials
    from tasks.core.settings import Settings
    from tasks.effects.helm import Helm
    from tasks.effects.kubectl import Kubectl
    from tasks.effects.port_forward import Forwards
    from tasks.effects.repository import Repository
    from tasks.effects.s3 import Bucket, BucketFacts
    from tasks.effects.sops import Sops
    from tasks.effects.web import Web


@dataclass(frozen=True)
class Permissions:
    """What the user allowed: overwrite uncommitted edits, take foreign app folders over, push.

    ``unproved``: go on with versions that were not tested, where it cannot be proved that they render.
    ``overwrite`` are files, or values in them (``FILE:PATH``), that get what the settings say.
    ``new_login``: give Parseable a new password, though the one it has is good.
    """

    force: bool = False
    adopt: bool = False
    push: bool = True
    unproved: bool = False
    overwrite: tuple[str, ...] = ()
    new_login: bool = False


NOTHING_SPECIAL = Permissions()


class Network(Enum):
    """How far checks may go: nowhere but S3, to the repositories of charts, or to all that is named."""

    OFFLINE = "offline"
    CHARTS = "charts"
    ONLINE = "online"


class Workspace:
    """What facts are read from and changes are applied to.

    ``probe`` says whether checks may write (and delete) a probe object in the bucket; ``ask`` reads a
    credential from the user without showing it, None where there is nobody to ask; ``network`` is how far
    checks may go; ``may_read_logins`` says that they may read the cluster's Secrets with logins.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        *,
        permissions: Permissions = NOTHING_SPECIAL,
        probe: bool = False,
        ask: Callable[[str], str] | None = None,
        network: Network = Network.OFFLINE,
        may_read_logins: bool = False,
    ) -> None:
        self.settings = settings
        self.repository = repository
        self.permissions = permissions
        self.probe = probe
        self._ask = ask
        self.network = network
        self.may_read_logins = may_read_logins

    @cached_property
    def layout(self) -> Layout:
        """What the repository shows about its own layout."""
        return discover(self.settings, self.tree, self.repository.root)

    @cached_property
    def tree(self) -> Tree:
        """The Flux objects and kustomizations of the repository, with planned changes laid over it."""
        # Our own settings are no evidence of what is there.
        return Tree([path for path in self.repository.yaml_files if path != FILE], self.repository.text)

    @cached_property
    def found_credentials(self) -> S3Credentials | SettingsError:
        """The S3 key pair, or why there is none: whoever left the question unanswered is not asked again."""
        from tasks.effects.s3 import find_credentials

        try:
            return find_credentials(ask=self._ask)
        except SettingsError as error:
            return error

    @property
    def credentials(self) -> S3Credentials:
        """The S3 key pair.

        Raises:
            SettingsError: there is none, or it is malformed.
        """
        if isinstance(self.found_credentials, SettingsError):
            raise self.found_credentials
        return self.found_credentials

    @cached_property
    def bucket(self) -> Bucket:
        """The door to the bucket."""
        from tasks.effects.s3 import Bucket

        return Bucket(self.settings.s3, self.credentials)

    @cached_property
    def bucket_facts(self) -> BucketFacts:
        """What the S3 server says of the bucket."""
        return self.bucket.facts()

    @cached_property
    def sops(self) -> Sops:
        """The door to sops."""
        from tasks.effects.sops import Sops

        return Sops(self.repository.root)

    @cached_property
    def helm(self) -> Helm:
        """The door to helm, with a cache of charts below the user's cache folder.

        Raises:
            RefusedError: there is neither such a folder nor a home.
        """
        from tasks.effects.files import expanded
        from tasks.effects.helm import Helm

        cache = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        return Helm(
            cache / "parseable-playbook" / "charts",
            self.settings.charts.mirrors,
            offline=self.network is Network.OFFLINE,
        )

    @cached_property
    def web(self) -> Web:
        """Questions to the network."""
        from tasks.effects.web import Web

        return Web(self.helm)

    @cached_property
    def kubectl(self) -> Kubectl:
        """The door to the running cluster."""
        from tasks.effects.files import expanded
        from tasks.effects.kubectl import Kubectl

        given = self.settings.cluster
        kubeconfig = str(expanded(given.kubeconfig)) if given.kubeconfig else None
        return Kubectl(kubeconfig=kubeconfig, context=given.context)

    @cached_property
    def forwards(self) -> Forwards:
        """The ports that lead to pods of the running cluster."""
        from tasks.effects.port_forward import Forwards

        return Forwards(self.kubectl.reached)

    def close(self) -> None:
        """End what runs beside us for the doors to the cluster."""
        for door in ("forwards", "kubectl"):
            if door in self.__dict__:
                self.__dict__[door].close()

    def with_repository(self, repository: Repository) -> Workspace:
        """The same workspace around another repository, with the doors that are open already."""
        other = Workspace(
            self.settings,
            repository,
            permissions=self.permissions,
            probe=self.probe,
            network=self.network,
            may_read_logins=self.may_read_logins,
        )
        for door in ("found_credentials", "bucket", "kubectl", "forwards"):
            if door in self.__dict__:
                other.__dict__[door] = self.__dict__[door]
        with suppress(PlaybookError):  # without a home: told to whoever asks for a chart
            other.__dict__.update(helm=self.helm, web=self.web)
        return other

    def as_planned(self, repository: Repository, changes: Iterable[Change]) -> Workspace:
        """The same workspace as if ``changes`` were done, with the files that ``repository`` has of them.

        Nothing is tried in the bucket, which need not be there yet.
        """
        other = self.with_repository(repository)
        other.probe = False
        if "bucket_facts" in self.__dict__:
            from tasks.effects.s3 import after_changes

            other.__dict__["bucket_facts"] = after_changes(self.bucket_facts, changes)
        return other

    def lay_over(self, changes: Iterable[Change]) -> None:
        """Make later facts see ``changes`` as done."""
        self.repository.plan(changes)
        self.__dict__.pop("tree", None)

    def lay_aside(self) -> None:
        """Forget the changes that were laid over it."""
        self.repository.forget()
        self.__dict__.pop("tree", None)

    def refresh(self) -> None:
        """Forget what was read, after something was changed. The layout stays: changes follow it."""
        self.lay_aside()
        self.__dict__.pop("bucket_facts", None)
