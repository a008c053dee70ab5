"""The one count of a request: what is reserved for it, and what the context's budget allows.

`tokens` holds the law of a request, `encodings` the count of a text, `media` and `images` what is
no text, `forms` the tools and the form of the answer, `requests` the JSON that the OpenAI SDK
sends. Exact is a text of a model whose encoding ships (`TokenCounter.exact`); everything else is an
estimate by a stated rule, on the high side.
"""
