"""The slow work beside the sockets: loops that sweep, and consumers of what they hand out."""
