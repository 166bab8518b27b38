"""YAML as text and as data: documents, marks, templates, and editing that keeps every other byte."""
