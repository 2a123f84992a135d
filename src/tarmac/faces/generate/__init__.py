"""Everything derived from the declarations: OpenAPI, reference, completion."""
