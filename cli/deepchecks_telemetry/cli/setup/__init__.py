"""`attach` and `detach` of an environment, the `collector`, and the demonstration `tour`."""
