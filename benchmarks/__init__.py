"""What is measured: speed, memory, and what each part of the method brings; one make target each."""
