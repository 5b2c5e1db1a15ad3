//! The kernel's own view: what its programs tell becomes the same records that packets give.

mod event;

pub use event::{
    Attempt, AttemptEnd, Closed, Connection, Event, Mode, Process, Role, RoleBy, Socket, Task,
    TaskEnd, What,
};
