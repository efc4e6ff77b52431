"""The stages, one module each: `async def run(bench: Bench) -> list[Figure]`."""
