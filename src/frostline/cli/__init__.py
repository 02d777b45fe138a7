"""The `frostline` command line: one file per verb, each of which parses, calls one library function, and renders."""
