"""Set up the programs that people use: what to put into which of their files, and taking it out again."""
