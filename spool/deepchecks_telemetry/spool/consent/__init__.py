"""Decides whether events may be recorded and sent, and finds the coarse values that describe the environment.

decision  reads the sources of the mode; `resolve` decides, as a pure function
resource  the coarse values that describe the environment
"""
