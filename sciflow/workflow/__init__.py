"""What was meant: a workflow file, read into frozen nouns."""
