"""The settings as their files have them: with the values that owners committed there, and that are kept."""

from dataclasses import replace

from tasks.core.errors import PlaybookError
from tasks.core.settings import Settings
from tasks.subjects.flux import charts_facts
from tasks.subjects.manifests import deployed_facts
from tasks.workspace import Workspace


def kept_settings(workspace: Workspace) -> Settings:
    """The settings with what is kept in their place; as they are where it is not known what would be.

    For questions that a kept value answers as well as a set one. What has to agree with something outside of
    the file, as the bucket has, is asked of the settings.
    """
    settings = workspace.settings
    try:
        facts = (*deployed_facts(workspace), *charts_facts(workspace))
    except PlaybookError:
        return settings
    for fact in facts:
        for key, value in fact.settled.kept.items():
            section, name = key.split(".")
            settings = replace(settings, **{section: replace(getattr(settings, section), **{name: value})})
    return settings
