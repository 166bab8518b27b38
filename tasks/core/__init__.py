"""What the rest stands on: catalogue, graph, settings, errors, changes, runner, console."""
