"""What the running cluster and its services answer, as facts and figures; nothing here is a check."""
