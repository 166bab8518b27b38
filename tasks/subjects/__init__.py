"""What is deployed: the facts of each subject (names, keys, ports, paths), its documents and its plan."""
