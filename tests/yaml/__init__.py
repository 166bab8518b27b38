"""Tests of tasks/yaml."""
