"""The commands that turn telemetry on or off.

enable    turn telemetry on; counts are sent if an endpoint is set
local     turn telemetry on, but upload nothing
disable   turn telemetry off and wipe it, for this user or for all users
purge     remove all of our files of this user and this virtual environment
effect    prints the effect of a choice: the mode in force, whether and where counts are sent
wiping    wipes for one user, and checks that nothing is left
users     acts as other users, for root
evidence  the file of `disable --report`
"""
