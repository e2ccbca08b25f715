"""The attach file: a .pth file that attaches to deepchecks in one environment.

file      writes, finds and removes it
startup   the code in it, which each interpreter of the environment runs at its start
"""
