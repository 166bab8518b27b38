"""What ends a rollout: taking it back or out, and archiving its specification."""
