"""The library's clients, blocking and asyncio, over the same operations."""
