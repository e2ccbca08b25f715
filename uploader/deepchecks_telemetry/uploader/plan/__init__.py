"""Decides whether, where to and when counts are sent, or why not; the host, the uploader and each command use it.

decision   `plan`, a pure function from `Facts` to a `Plan`; `BlockedBy`
facts      reads the facts from the settings and the spool
text       the sentences and remedies that are printed
"""
