"""Tests of tasks/effects."""
