"""The description of this API, as OpenAPI 3.1 says it. Nothing here is imported before somebody asks for it."""
