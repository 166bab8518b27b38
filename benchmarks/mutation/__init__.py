"""Puts small faults into the code and the manifests, one at a time, and asks whether the tests see them."""
