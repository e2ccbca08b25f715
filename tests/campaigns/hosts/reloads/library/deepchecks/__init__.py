"""A library with the names of the real deepchecks that are attached to, without what takes time."""
