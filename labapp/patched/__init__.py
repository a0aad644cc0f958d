"""Every override of a pinned library: Faust, mode, aiokafka and aiohttp.

tests/unit/patched/test_pinned.py has the hash of each piece of their code that is overridden or relied on. It fails when another
version has other code, so that nobody takes a new version over without a look.
"""
