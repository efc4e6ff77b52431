"""Everything between a handler and the messaging world: contracts, the transaction, Kafka, loops and the runtime."""
