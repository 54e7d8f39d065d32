"""Speed and memory; one make target each."""
