"""What the tasks of the small study would run."""
