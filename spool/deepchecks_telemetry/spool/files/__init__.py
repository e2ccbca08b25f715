"""Finds, checks, locks and writes the files and directories of the spool.

paths           `Home`: all paths of one user
directory       who owns a directory, closing it to other users, which file systems are local
regular         only regular files with one hard link are used
lock            the file lock
atomic          write, fsync, rename
quarantine      renames a damaged spool, or one with a second hard link
windows         the folders of Windows, and whether a policy's files belong to an administrator there
residue         searches our files for what `disable` should have removed
"""
