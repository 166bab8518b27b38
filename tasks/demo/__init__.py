"""Real servers on this machine, for the demo and the tests; real use never starts them."""
