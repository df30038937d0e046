"""What would become of a request, by the very code that decides: a core of its own in a world without sockets."""
