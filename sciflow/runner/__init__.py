"""What travels in every bundle: the runner. Python 3.6+, the standard library, nothing else."""
