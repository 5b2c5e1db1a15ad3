//! Results of queries, typed as the server says.
