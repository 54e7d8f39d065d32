"""Speed and memory scripts, one make target each."""
