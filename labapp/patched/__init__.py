"""Every override of a pinned library: Faust, mode, aiokafka and aiohttp. A test fails when the text of what is overridden changes."""
