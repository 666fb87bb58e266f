"""A seeded fleet of virtual meters on real sockets."""
