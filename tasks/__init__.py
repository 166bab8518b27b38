"""The playbook: the commands, the eleven tasks and what they are made of."""
