"""The commands that set up a virtual environment or a receiver, and the demonstration.

attach      count the use of the released deepchecks in this virtual environment
detach      undo `attach`
collector   run the embedded receiver, load files, report
tour        demonstrate every step in a temporary directory
help        the environment variables and the files; the help of a command
sandbox     runs commands and programs in that directory
"""
