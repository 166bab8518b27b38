"""One door for each side effect: files, git, sops, S3."""
