"""The Definition of Done as functions: one check for each item."""
