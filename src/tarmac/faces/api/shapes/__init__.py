"""What replies hold: shapes of `data`, one file a noun, named by `reply=` where an endpoint is declared.

A shape is a TypedDict: its fields are what the face promises, `NotRequired` what is there only at times. OpenAPI and
the web page's types (`ui/src/api/types.ts`) are made from them, and a test holds real replies against them. More
fields may be in a reply than its shape names.
"""
