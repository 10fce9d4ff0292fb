//! The segment log under Kinesis shards (and later Kafka partitions).
