"""The command line `project`: one module for each verb, loaded when the verb is called."""
