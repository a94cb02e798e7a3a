"""The gateway's log: what is logged, in which form, where to, and how it is read again."""
