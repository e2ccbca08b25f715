"""The HTTP server of the embedded collector, its limits, and its process."""
