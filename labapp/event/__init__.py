"""What an event is, how a request becomes a record and a record becomes a row. Pure: no Kafka, no Faust, no HTTP."""
