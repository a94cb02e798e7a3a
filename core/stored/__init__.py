"""Stored responses: `previous_response_id`, item references and `GET /v1/responses/{id}`, which Copilot itself lacks.

Prompts and answers are at rest only where the operator opted in (`store_responses`), only for requests that do not say
`store: false`, only until `store_ttl` is over, and only for the key that made them. Nothing else in the gateway
keeps what was said.
"""
