"""Tests of tasks/flux."""
