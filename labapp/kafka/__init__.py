"""Plain aiokafka clients beside Faust's: how they connect, what they ask the cluster, what they make there."""
