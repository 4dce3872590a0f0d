"""How the contract is told to machines: the words for its fields, JSON Schema in one form, examples made of both.

The HTTP room makes its OpenAPI document with it, the gateway its AsyncAPI document.
"""
