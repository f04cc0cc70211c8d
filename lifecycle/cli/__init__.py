"""The command line: parse, call one flow function, show."""
