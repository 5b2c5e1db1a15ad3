//! Destinations on other machines. What travels is made by the encoders; here is how it gets there.

mod abrupt;
pub mod http;
