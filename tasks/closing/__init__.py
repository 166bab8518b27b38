"""What ends a rollout: taking it back, and archiving its specification."""
