"""What is asked of other servers over HTTP."""
