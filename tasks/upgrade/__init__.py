"""An upgrade: what it changes in the cluster, the order in which to do it, and the way back."""
