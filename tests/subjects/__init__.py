"""Tests of tasks/subjects."""
