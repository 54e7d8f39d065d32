"""Drawn people with exact colour and alpha, and drawn backgrounds: pictures for tests and first runs, no download."""
