"""The gateway's own books: who asked which model how often, how much, how fast; never what."""
