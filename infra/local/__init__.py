"""The laptop: SQLite state, secret file, WSGI server."""
