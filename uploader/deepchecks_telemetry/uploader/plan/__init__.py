"""The one decision about sending: whether, where to, when, why not, and what to do about it.

decision   `plan`, a pure function from facts to a value that every command uses
text       the sentences that belong to it
facts      reads the facts
"""
