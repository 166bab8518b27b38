"""Tests of tasks/live."""
