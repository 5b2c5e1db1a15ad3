//! What is known of sockets besides what the kernel tells when it is asked: processes, containers, interfaces, who listens; which
//! sockets are wanted, and how much of an address is shown. Makes records.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tcplens_capture::cgroup::Cgroups;
use tcplens_capture::owners::Owners;
use tcplens_core::anonymize::Anonymize;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::kernel::container_id;
use tcplens_core::record::{Socket, SocketSummary};
use tcplens_core::socket::close::ending;
use tcplens_core::socket::map::{Context, Listeners, Owner, socket};
use tcplens_core::socket::message::{kind, state};
use tcplens_core::socket::metrics::{Place, Queue};
use tcplens_core::socket::summary::summary;
use tcplens_core::socket::tracker::Polled;
use tcplens_core::socket::{End, Ended, Entry, Facts, Known, KnownSockets, Message};
use tcplens_core::time::Timestamp;
use tcplens_core::view::ServerKey;
use tcplens_output::SinkEnd;

/// Processes are looked up for two hundredths of the time at most: as --cpu-budget by default.
const PAUSE: u32 = 50;
/// And not more often than that.
const OFTEN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(crate) struct World {
    /// Which sockets.
    pub filter: Option<RecordFilter>,
    /// Which of these not.
    pub exclude: Option<RecordFilter>,
    /// This host, in connection ids.
    pub host: u32,
    /// The beginning of names in archives.
    pub prefix: String,
    /// Inode of the network namespace.
    pub netns: Option<u64>,
    /// Which processes have which sockets.
    pub owners: Owners,
    /// Processes are looked up again for sockets of nobody known: not before then.
    pub look_again: Option<Instant>,
    /// Paths of control groups.
    pub cgroups: Cgroups,
    /// Names of interfaces.
    pub interfaces: HashMap<u32, String>,
    /// How much of an address is shown.
    pub anonymize: Anonymize,
    /// There is one look, and no end of a connection is told.
    pub is_once: bool,
    /// What the kernel's own view told of sockets, where it was asked for.
    pub known: KnownSockets,
    /// Ports that were listened on; they stay, for connections stay when their listener goes.
    pub listeners: Listeners,
    /// The queues of who listens, where somebody wants to know; with addresses as they are shown.
    pub queues: Option<Vec<(ServerKey, Queue)>>,
    /// The name that is put together.
    pub uuid: String,
}

impl World {
    /// Whether some sockets only were asked for.
    pub(crate) fn has_filter(&self) -> bool {
        self.filter.is_some() || self.exclude.is_some()
    }

    /// Whether the kernel's own view has told how a socket was opened, and not yet how it ended.
    pub(crate) fn is_late(&self, cookie: u64) -> bool {
        let known = self.known.find(cookie);
        known.is_some_and(|known| known.finish.is_none())
    }

    /// Takes a listener's message; others are left.
    pub(crate) fn listener(&mut self, message: Message<'_>) {
        self.listeners.see(message);
        if let Some(queues) = &mut self.queues
            && message.state() == state::LISTEN
        {
            let (ip, port) = message.local();
            let queue = Queue {
                waiting: message.rqueue().into(),
                limit: message.wqueue().into(),
            };
            queues.push(((self.anonymize.ip(ip), port.into()), queue));
        }
    }

    /// Whose connection a message is of, as it is shown; `None`: it is none.
    pub(crate) fn place(&self, message: Message<'_>) -> Option<Place> {
        let ((local, local_port), (remote, remote_port)) = (message.local(), message.remote());
        if remote_port == 0 {
            return None;
        }
        let known = self.known.find(message.cookie());
        let is_server = known.and_then(|known| known.is_server);
        let is_server = is_server.unwrap_or_else(|| self.listeners.has(local_port));
        let (ip, port) = match is_server {
            true => (local, local_port),
            false => (remote, remote_port),
        };
        Some(Place {
            server: (self.anonymize.ip(ip), port.into()),
            is_server,
        })
    }

    /// Hands over the record of a socket, if it is one of those that were asked for.
    pub(crate) fn socket(
        &mut self,
        at: Timestamp,
        message: Message<'_>,
        before: Option<Polled>,
        entry: Option<&Entry>,
        show: impl FnOnce(&Socket<'_>) -> Result<(), SinkEnd>,
    ) -> Result<(), SinkEnd> {
        self.name(message);
        self.look_again(message);
        let context = Context {
            before,
            first_seen: entry.map(|entry| entry.first_seen),
            ..context(
                (self.host, self.netns),
                &self.uuid,
                &self.listeners,
                (&self.owners, self.known.find(message.cookie())),
                &mut self.cgroups,
                &self.interfaces,
                (at, message),
            )
        };
        let mut record = socket(message, &context);
        if !is_wanted(self.filter.as_ref(), self.exclude.as_ref(), &record) {
            return Ok(());
        }
        anonymize(&self.anonymize, &mut record);
        show(&record)
    }

    /// Hands over the last record and the summary of a connection, if it is one of those that were asked for.
    pub(crate) fn end(
        &mut self,
        end: &End<'_>,
        show: impl FnOnce(&End<'_>, &Socket<'_>, &SocketSummary<'_>) -> Result<(), SinkEnd>,
    ) -> Result<(), SinkEnd> {
        // What was missing may be there again.
        let known = match end.ended {
            Ended::Vanished => self.known.find(end.message.cookie()).cloned(),
            _ => self.known.remove(end.message.cookie()),
        };
        let head = known
            .as_ref()
            .and_then(|known| known.with_ends(end.message));
        let end = &End {
            message: match &head {
                Some(head) => Message::of(head, end.message.attribute_bytes()),
                None => end.message,
            },
            ..*end
        };
        // A port that nobody listens on may be that of a listener that is gone: then the numbers tell, or nothing does.
        let is_listened = self.listeners.has(end.message.local().1);
        let facts = known.as_ref().map(Known::facts).unwrap_or_default();
        let facts = Facts {
            is_server: facts.is_server.or(is_listened.then_some(true)),
            ..facts
        };
        let ending = ending(end, &facts);
        self.name(end.message);
        let context = Context {
            before: (end.entry.polls > 0 && end.is_final_info).then(|| end.entry.polled()),
            // Of one that was never polled nobody knows how long it was there, unless its opening was told.
            first_seen: match end.entry.polls {
                0 => facts.opened,
                _ => Some(end.entry.first_seen),
            },
            is_final: end.ended != Ended::Open,
            close: Some(ending.close),
            is_server: ending.is_server,
            ..context(
                (self.host, self.netns),
                &self.uuid,
                &self.listeners,
                (&self.owners, known.as_ref()),
                &mut self.cgroups,
                &self.interfaces,
                (end.at, end.message),
            )
        };
        let mut record = socket(end.message, &context);
        // Its state, its queues and its timers are those of the end: who passed at the last look is told of all the same.
        let is_wanted =
            |record: &Socket<'_>| is_wanted(self.filter.as_ref(), self.exclude.as_ref(), record);
        let was_wanted =
            || end.entry.polls > 0 && is_wanted(&socket(end.entry.message(), &context));
        if !is_wanted(&record) && !was_wanted() {
            return Ok(());
        }
        let mut summary = summary(end, &ending, &facts, &context);
        anonymize(&self.anonymize, &mut record);
        shorten(
            &self.anonymize,
            &mut summary.local_ip,
            [
                &mut summary.remote_ip,
                &mut summary.client_ip,
                &mut summary.server_ip,
            ],
        );
        show(end, &record, &summary)
    }

    /// Looks up processes again where a socket's is not known, but not so often that it costs more than a look at sockets may.
    fn look_again(&mut self, message: Message<'_>) {
        let is_unknown = message.inode() != 0 && self.owners.of(message.inode()).is_none();
        let begun = Instant::now();
        if is_unknown && self.look_again.is_some_and(|due| begun >= due) {
            self.owners.look();
            let pause = begun.elapsed() * PAUSE;
            self.look_again = Some(Instant::now() + pause.max(OFTEN));
        }
    }

    /// The name in archives.
    fn name(&mut self, message: Message<'_>) {
        self.uuid.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.uuid, "{}_{:016X}", self.prefix, message.cookie());
    }
}

/// What is known of a socket.
fn context<'a>(
    (host, netns): (u32, Option<u64>),
    uuid: &'a str,
    listeners: &'a Listeners,
    (owners, known): (&'a Owners, Option<&'a Known>),
    cgroups: &'a mut Cgroups,
    interfaces: &'a HashMap<u32, String>,
    (at, message): (Timestamp, Message<'_>),
) -> Context<'a> {
    let owner = match message.inode() {
        0 => None,
        inode => owners.of(inode),
    };
    let number = message.attribute(kind::CGROUP_ID);
    let number = number.and_then(|bytes| bytes.try_into().ok().map(u64::from_ne_bytes));
    let process = known.and_then(|known| known.process);
    let number = number.or(process.map(|process| process.cgroup));
    let cgroup = number.and_then(|number| cgroups.path(number));
    let has_name = !matches!(message.cookie(), 0 | u64::MAX);
    Context {
        time: at,
        host: Some(host),
        uuid: has_name.then_some(uuid),
        netns,
        listeners: Some(listeners),
        is_server: known.and_then(|known| known.is_server),
        owner: Owner {
            pid: match owner {
                Some(owner) => Some(owner.pid.into()),
                None => process.map(|process| process.pid.into()),
            },
            comm: match owner {
                Some(owner) => Some(owner.comm.as_str()),
                None => known.and_then(Known::comm),
            },
            cgroup,
            container_id: cgroup.and_then(container_id),
        },
        interface: interfaces.get(&message.interface()).map(String::as_str),
        ..Context::default()
    }
}

fn is_wanted(
    filter: Option<&RecordFilter>,
    exclude: Option<&RecordFilter>,
    record: &Socket<'_>,
) -> bool {
    filter.is_none_or(|filter| filter.matches(record))
        && !exclude.is_some_and(|exclude| exclude.matches(record))
}

fn anonymize(how: &Anonymize, record: &mut Socket<'_>) {
    let others = [
        &mut record.remote_ip,
        &mut record.client_ip,
        &mut record.server_ip,
    ];
    shorten(how, &mut record.local_ip, others);
}

fn shorten(how: &Anonymize, own: &mut IpAddr, others: [&mut Option<IpAddr>; 3]) {
    for ip in others.into_iter().flatten().chain([own]) {
        *ip = how.ip(*ip);
    }
}
