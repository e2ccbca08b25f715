"""The attach file: a .pth file that attaches to deepchecks in one virtual environment.

file       write, find and remove it
startup    the code in it, which the interpreter runs when it starts
"""
