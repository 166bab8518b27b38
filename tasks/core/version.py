"""What the playbook is called, and which version of it is installed."""

NAME = "parseable-playbook"


def version() -> str:
    """The version of the playbook as it is installed, "unknown" where it is not."""
    # It takes as long to load as all of a short command.
    from importlib import metadata

    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "unknown"
