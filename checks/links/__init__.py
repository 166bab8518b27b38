"""What one document of the repository says about another: built, rendered, and checked."""
