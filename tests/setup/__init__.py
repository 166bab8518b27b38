"""Tests of the room tasks/setup."""
