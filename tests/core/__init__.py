"""Tests of tasks/core."""
