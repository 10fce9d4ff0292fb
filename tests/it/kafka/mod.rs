//! The Kafka path through the program itself: rows, API, gateway, topics, connector, objects, batch cleaning, Delta tables;
//! beside the streaming path, which the same events take.

mod existing;
mod judge;
mod kills;
mod objects;
mod path;
