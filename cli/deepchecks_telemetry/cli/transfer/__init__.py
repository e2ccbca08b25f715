"""The commands that send counts, directly or by way of files: `flush`, `export`, `deliver`, `settle`."""
