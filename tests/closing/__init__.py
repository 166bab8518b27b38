"""Tests of tasks/closing."""
