"""The first minute: what a repository and this machine have, and the settings file that follows from it."""
