"""Where steps are carried out. `base` has the protocol, each further module one place."""
