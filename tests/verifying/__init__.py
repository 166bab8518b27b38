"""Tests of tasks/verifying."""
