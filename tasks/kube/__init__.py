"""What Kubernetes makes of objects: schemas, and what the API server refuses besides."""
