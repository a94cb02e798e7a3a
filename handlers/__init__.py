"""Flask only: one module an endpoint."""
