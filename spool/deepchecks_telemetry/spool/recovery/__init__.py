"""Migrations, and recovery of a spool that was found damaged."""
