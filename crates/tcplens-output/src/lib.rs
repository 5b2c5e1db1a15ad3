//! Encoders of records and their destinations.
