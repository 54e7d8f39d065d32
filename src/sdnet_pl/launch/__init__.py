"""Many fits, each in a process of its own: sweeps, and whole tables of the paper."""
