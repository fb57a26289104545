"""The `context` suite: how much of the retrieved context a question needs, and what each way of cutting it loses."""
