"""A trained network as a file of another runtime, one module a format; each is run there before it takes its name."""
