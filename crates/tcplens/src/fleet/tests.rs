//! The server over real sockets, with a store that stands in.
