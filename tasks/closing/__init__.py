"""What ends a rollout: taking it back."""
