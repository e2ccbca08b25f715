"""Whether events may be recorded and sent, and the coarse values that describe the environment."""
