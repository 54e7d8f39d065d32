"""Videos in, people cut out of them: sound, times and rotation kept."""
