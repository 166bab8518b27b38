"""What `verify` does: asks the checks, and waits for what the cluster is about to do."""
