"""Tests of the room tasks/upgrade."""
