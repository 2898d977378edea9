"""What will be done: everything pinned, and the graph of tasks with the rule that maps points to steps."""
