"""The commands that set up an environment or a receiver, and the demonstration.

attach      record the events of the released deepchecks in this environment
detach      undo `attach`
collector   run the embedded receiver, load files, report
tour        demonstrate every step in a temporary directory
sandbox     runs commands and programs in that directory
"""
