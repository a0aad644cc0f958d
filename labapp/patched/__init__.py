"""Every override of a pinned library: Faust, mode, aiokafka and aiohttp.

tests/unit/patched/test_pinned.py has the hash of each piece of their code that is overridden or relied on. It fails if a new version
changes that code, so that nobody upgrades without a review.
"""
