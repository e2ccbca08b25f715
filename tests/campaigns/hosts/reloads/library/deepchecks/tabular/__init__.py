"""As in the real library."""
