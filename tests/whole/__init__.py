"""Tests of whole commands, as a user runs them: real processes, git, sops and S3."""
