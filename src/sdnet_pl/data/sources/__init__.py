"""Where foregrounds and backgrounds come from."""
