"""What Flux makes of a repository: its layout, its variables, the values of its charts."""
