"""Tests of tasks/kube."""
