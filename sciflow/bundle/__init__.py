"""What is carried: the folder that holds a whole sweep, its seal, and what is found in its runs."""
