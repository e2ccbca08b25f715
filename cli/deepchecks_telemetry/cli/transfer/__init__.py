"""The commands that send counts, directly or by way of files.

flush     send pending counts now
export    write pending counts to files
deliver   send exported files from a connected machine, and write a receipt
settle    mark batches as delivered or rejected from a receipt
headers   the option `--headers`
files     errors of files, with what to do
"""
