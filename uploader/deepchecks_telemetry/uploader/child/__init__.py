"""Starts the uploader process so that the host neither waits for it nor reaps it.

interpreter   which Python can run it
reaper        which process would reap it, and where it must not be started
command       its command line and environment
start         starts it detached
"""
