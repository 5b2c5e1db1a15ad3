//! The kernel's own view: what its programs tell becomes the same records that packets give.

mod container;
mod event;
mod head;
mod join;
mod mapper;
mod tags;

pub use container::container_id;
pub use event::{
    Attempt, AttemptEnd, Closed, Connection, Event, Mode, Process, Role, RoleBy, Socket, Task,
    TaskEnd, What,
};
pub use join::{JoinCounts, Joins, SOCKETS, Sight};
pub use mapper::{CgroupPath, Counts, Mapper, Settings};
pub use tags::{Tagged, tags};
