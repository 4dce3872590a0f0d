"""The command line: what a person or a script asks of Aldis from a terminal.

`app` and `admin` hold the names, options and help of the commands; what a command does is in a module of its own, which
is imported when the command is called, so that help comes quickly. Answers go to standard output, everything said about
them to standard error, and every failure ends in one line there.
"""
