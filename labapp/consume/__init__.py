"""From a batch of records to rows: the agent, what it changes, where dead letters go."""
